"""What is drawn is what there is."""

import cipherblas as cb
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg


def drawn(ax):
    """Renders the figure, as a file would have it."""
    FigureCanvasAgg(ax.figure).draw()
    return ax


def test_coefficients():
    clear, ours = np.array([1.0, -2.0, 0.5]), np.array([1.01, -2.0, 0.5])
    ax = drawn(cb.plot.coefficients(ours, clear, error=0.1, names=["a", "b", "c"]))
    plain, encrypted = ax.lines[:2]
    np.testing.assert_array_equal(plain.get_ydata(), clear)
    np.testing.assert_array_equal(encrypted.get_ydata(), ours)
    (band,) = ax.collections
    edges = band.get_paths()[0].vertices[:, 1]
    assert edges.max() == pytest.approx(1.1)
    assert edges.min() == pytest.approx(-2.1)
    assert "1.0e-02" in ax.get_title()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["error bound", "in clear", "encrypted"]
    with pytest.raises(ValueError, match="3 encrypted and 2 clear"):
        cb.plot.coefficients(ours, clear[:2])
    with pytest.raises(ValueError, match="one for each"):
        cb.plot.coefficients(ours, clear, names=["a"])


def test_loss():
    ax = drawn(cb.plot.loss([0.7, 0.4, 0.3]))
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [0.7, 0.4, 0.3])

    class Holder:
        history_ = (cb.linear_model._federated.Round(1, 0.6, 0.1, False),)

    np.testing.assert_array_equal(cb.plot.loss(Holder()).lines[0].get_ydata(), [0.6])
    with pytest.raises(ValueError, match="no loss"):
        cb.plot.loss([cb.linear_model._roles.Iteration(1, 2, 3)])


def test_depth(ckks, bfv):
    x = ckks.encrypt([0.5, 1.0])
    steps = {"x": x, "square": x * x, "cube": x**3}
    ax = drawn(cb.plot.depth(steps))
    assert [bar.get_height() for bar in ax.patches] == [x.depth_left, x.depth_left - 1, x.depth_left - 2]
    twin = next(a for a in ax.figure.axes if a is not ax)
    bits = [-np.log2(a.error_bound) for a in steps.values()]
    np.testing.assert_allclose(twin.lines[0].get_ydata(), bits)
    # Exact arrays have no error to draw.
    assert len(cb.plot.depth([("x", bfv.encrypt([1]))]).figure.axes) == 1
    with pytest.raises(ValueError, match="at least one"):
        cb.plot.depth([])


def test_cost():
    plan = cb.plan(lambda X, w: X @ w, X=(100, 30), w=(30,), params=cb.CkksParams(depth=3))
    ax = drawn(cb.plot.cost(plan))
    lengths = [bar.get_width() for bar in ax.patches]
    assert lengths == list(plan.seconds.values())
    assert [t.get_text() for t in ax.get_yticklabels()] == list(plan.seconds)
    paillier = cb.plan(lambda x: x @ np.ones(5), x=(5,), params=cb.PaillierParams())
    assert drawn(cb.plot.cost(paillier)).get_xlabel() == "operations"
    with pytest.raises(TypeError, match=r"cipherblas\.plan"):
        cb.plot.cost(lambda x: x)


def test_axes_can_be_given():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert cb.plot.loss([1.0], ax=ax) is ax
