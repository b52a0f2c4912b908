"""What a description could not name is put in its place, and each thing it can name comes back."""

import numpy as np
import pytest
from test_json import THINGS, Own, Pair, is_same

from jaxopt_edu.storage.descriptions import put
from jaxopt_edu.storage.files import from_json, to_json
from jaxopt_edu.storage.named import describe, rebuild, unnamed


def there(value):
    """The value with a word in the place of each function."""
    if isinstance(value, Own):
        return Own(there(value.dict), there(value.dtype))
    if isinstance(value, Pair):
        return Pair(*map(there, value))
    if isinstance(value, dict):
        return {k: there(v) for k, v in value.items()}
    return type(value)(map(there, value)) if isinstance(value, tuple | list) else (
        "given" if callable(value) else value
    )  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        (1, is_same, 2), [is_same], {"a": 1, "a.b": is_same, "a.b.c": 2}, {1: is_same, (2, "x"): 3},
        Own(is_same), Pair(1, is_same), [(0, {"x": Own({"y.z": [is_same, 5], "y": is_same})})],
        {None: {2.5: [is_same]}},
    ],
)  # fmt: skip
def test_what_is_put_in_the_place_of_what_had_no_name_is_there(value):
    description = describe(value)
    places = unnamed(description)
    assert places and set(places.values()) == {"is_same"}
    for place in places:
        description = put(description, place, "given")
    assert unnamed(description) == {} and is_same(rebuild(description), there(value))
    with pytest.raises(LookupError, match="nowhere"):
        put(description, "nowhere.else", 1)


@pytest.mark.parametrize("value", THINGS)
def test_each_thing_comes_back_equal(value):
    again = rebuild(from_json(to_json(describe(value))))
    assert is_same(again, value) or again == value


def test_kinds_of_numbers_have_no_dtype_to_be_named():
    assert unnamed(describe({"a": np.floating, "b": np.float16})) == {"a": "'floating'"}
