"""Images: PNGs of one pixel, enough to be told apart."""

CRACK_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CRACK_PNG_AGAIN = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAAC0lEQVQI12NkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
CHAIR_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCA"
    "AAAC0lEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
CRACK = f"data:image/png;base64,{CRACK_PNG}"
CRACK_AGAIN = f"data:image/png;base64,{CRACK_PNG_AGAIN}"
CHAIR = f"data:image/png;base64,{CHAIR_PNG}"
SIGNED = "https://files.example.org/claims/48-20713/crack.jpg?X-Amz-Expires=900&X-Amz-Signature="
