import pytest
from . import measure, programs

@pytest.mark.parametrize("model", measure.MODELS)
@pytest.mark.parametrize("factory", programs.PROGRAMS)
def test_sync_twice(factory, model):
    one, two = measure.run(factory, model), measure.run(factory, model)
    assert one.transcript == two.transcript
    assert tuple(one.program.ran) == one.program.tools
    assert [r.status for r in measure.calls(one.provider)] == [200] * len(one.bodies)

@pytest.mark.anyio
@pytest.mark.parametrize("model", measure.MODELS)
@pytest.mark.parametrize("factory", programs.PROGRAMS)
async def test_async(factory, model):
    one = await measure.arun(factory, model)
    two = measure.run(factory, model)
    assert one.transcript == two.transcript
    assert one.bodies == two.bodies
