import math
from xml.etree import ElementTree

import pytest

from resect.evaluation.charts import Axis, Series, cumulative, error_axis, legend, share_chart


def test_cumulative_shares_count_failures():
    line = cumulative("a", [0.1, 1.0, math.inf, 10.0], 0.01)
    assert line.points[0] == (0.01, 0.0)
    assert line.points[-1] == (10.0, 0.75)
    assert max(y for x, y in line.points if x <= 1.0) == 0.5


def test_axes_are_whole_decades_around_errors_and_marks():
    axis = error_axis("x", [0.03, 7.0, math.inf], [(1.0, "1")])
    assert (axis.low, axis.high) == pytest.approx((0.01, 10))
    assert axis.ticks() == pytest.approx([0.01, 0.1, 1, 10])
    assert axis.place(0.1) - axis.place(0.01) == pytest.approx(axis.place(10) - axis.place(1))
    empty = error_axis("x", [math.inf], [])
    assert empty.low < empty.high


def test_charts_are_well_formed_whatever_a_name_holds():
    series = [Series('<script>"&', ((0.1, 0.0), (0.5, 1.0))), Series("b", ())]
    chart = share_chart(series, Axis("a & b", 0.0, 1.0, marks=((0.5, "<m>"),)), diagonal=True, dots=True)
    assert ElementTree.fromstring(chart).tag == "svg"
    ElementTree.fromstring(legend(series))
