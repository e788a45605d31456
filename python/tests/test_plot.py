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
    assert ax.get_title() == "largest difference 1.0e-02, bound 1.0e-01"
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


def test_depth_of_a_callable():
    params = cb.CkksParams(depth=3)
    ax = drawn(cb.plot.depth(lambda x, w: [("x", x), ("scores", x @ w)], x=(100, 5), w=(5,), params=params))
    assert [bar.get_height() for bar in ax.patches] == [3, 1]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "scores"]
    # Arrays without values have no error to draw.
    assert ax.figure.axes == [ax]
    with pytest.raises(cb.DepthError):
        cb.plot.depth(lambda x: {"x": x**16}, x=(100,), params=params)
    smallest = cb.plot.depth(lambda x: {"x": x, "square": x * x}, x=(100,))
    assert [bar.get_height() for bar in smallest.patches] == [1, 0]
    with pytest.raises(TypeError, match="go with a callable"):
        cb.plot.depth([], params=params)


def stacks(ax):
    """Widths of the parts of each bar, from top to bottom; every part begins where the last one ends."""
    widths = {}
    for bar in ax.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        before = widths.setdefault(row, [])
        assert bar.get_x() == pytest.approx(sum(before))
        before.append(bar.get_width())
    return [widths[row] for row in sorted(widths)]


def shares(parts):
    return [pytest.approx(100 * part / sum(parts)) for part in parts if part]


def test_cost():
    plan = cb.plan(lambda X, w: X @ w, X=(100, 30), w=(30,), params=cb.CkksParams(depth=3))
    ax = drawn(cb.plot.cost(plan))
    parts = [list(plan.seconds.values()), list(plan.counts.values()), [plan.input_bytes, plan.key_bytes]]
    assert stacks(ax) == [shares(p) for p in parts]
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert [label.split()[0] for label in labels] == ["time", "operations", "bytes"]
    assert labels[1] == f"operations {sum(plan.counts.values()):,}"
    named = [t.get_text() for t in ax.get_legend().get_texts()]
    assert set(named) == {*plan.seconds, *(k for k, n in plan.counts.items() if n), "inputs", "keys"}
    assert len(named) == len(set(named))
    # A kind of operation has one colour, in time and in number.
    assert set(named) <= set(cb.plot._COLOURS)
    paillier = cb.plan(lambda x: x @ np.ones(5), x=(5,), params=cb.PaillierParams())
    assert stacks(drawn(cb.plot.cost(paillier))) == [[100.0], [100.0]]
    with pytest.raises(TypeError, match=r"cipherblas\.plan"):
        cb.plot.cost(lambda x: x)
    with pytest.raises(TypeError, match=r"got FitPlan.*`print\(plan\)`"):
        cb.plot.cost(cb.linear_model.Ridge().plan(np.ones((20, 2))))


def test_axes_can_be_given():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    assert cb.plot.loss([1.0], ax=ax) is ax


def test_many_features_fit_on_a_page():
    ax = drawn(cb.plot.coefficients(np.zeros(500), np.zeros(500)))
    assert ax.figure.get_size_inches()[0] < 20
    assert len(ax.get_xticks()) < 30


def test_no_state_is_kept():
    import matplotlib._pylab_helpers as helpers

    cb.plot.loss([1.0, 0.5])
    assert not helpers.Gcf.get_all_fig_managers()
