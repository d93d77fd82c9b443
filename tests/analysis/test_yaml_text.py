import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.yaml_text import yaml_text

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=8), VALUES, min_size=1, max_size=4))
@example({"numbers": [1e-6, 2.5e-06, 1e22, -1e-7, 0.1, 5e-324, 64.0, 64]})
@example({"texts": ["yes", "No", "null", "true", "1", "~", "", "a: b", "- x", "#"]})
def test_yaml_text_reads_back_equal(config):
    read = yaml.safe_load(yaml_text(config))
    assert repr(read) == repr(config)  # 64 is not 64.0


def test_yaml_text_is_laid_out_to_be_read():
    config = {
        "model": "lenet5",
        "space": {"weight_decay": {"low": 1e-6, "high": 0.01, "log": True}},
        "first": [{"dropout": 0.25, "rotation": 10}, {}],
        "batch_sizes": [32, 64],
        "none": None,
        "empty": {},
    }
    assert yaml_text(config) == (
        "model: lenet5\n"
        "space:\n"
        "  weight_decay: {low: 1.0e-06, high: 0.01, log: true}\n"
        "first:\n"
        "  - {dropout: 0.25, rotation: 10}\n"
        "  - {}\n"
        "batch_sizes:\n"
        "  - 32\n"
        "  - 64\n"
        "none: null\n"
        "empty: {}\n"
    )
