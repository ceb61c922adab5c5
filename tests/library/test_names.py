"""Whatever people call their things, each can be reached, and a name that could mean two means none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blinkarchive.blink.names import Entry, Named


def entry(name: str, id: int, where: str = "", *also: str) -> Entry[int]:
    """A thing that is its own id."""
    return Entry(thing=id, id=id, name=name, where=where, also=also)


def test_a_name_that_one_thing_has_is_its_key_in_any_case() -> None:
    things = Named([entry("Front Door", 1, "Home"), entry("Bell", 2, "Home")])
    assert list(things) == ["Front Door", "Bell"]
    assert (things["front door"], things["BELL"], things[2], things["2"]) == (1, 2, 2, 2)


def test_things_of_one_name_are_told_apart_by_where_they_are_and_then_by_their_ids() -> None:
    things = Named([entry("Door", 1, "Home"), entry("Door", 2, "Barn"), entry("Bell", 3, "Home"), entry("bell", 4, "Home")])
    assert list(things) == ["Door (Home)", "Door (Barn)", "Bell (Home, 3)", "bell (Home, 4)"]
    assert [things[key] for key in things] == [1, 2, 3, 4]


def test_a_bare_name_of_several_names_them_all() -> None:
    things = Named([entry("Door", 1, "Home"), entry("Door", 2, "Barn")])
    with pytest.raises(KeyError, match=r"several are called 'door': 'Door \(Home\)', 'Door \(Barn\)'"):
        things["door"]


def test_another_name_that_two_have_is_not_guessed_at() -> None:
    """Every sync module is called "My Blink Sync Module" until its owner thinks of a better name."""
    things = Named([entry("Home", 1, "", "My Blink Sync Module"), entry("Barn", 2, "", "My Blink Sync Module")])
    with pytest.raises(KeyError, match="'Home', 'Barn'"):
        things["My Blink Sync Module"]


def test_a_name_that_several_have_is_not_taken_for_the_other_name_of_one_more() -> None:
    things = Named([entry("Home", 1, "a"), entry("Home", 2, "b"), entry("Barn", 3, "c", "Home")])
    with pytest.raises(KeyError, match="several"):
        things["home"]


def test_a_number_is_an_id_and_never_a_name() -> None:
    things = Named([entry("2", 1), entry("Bell", 2)])
    assert (things[2], things["2"], things[1]) == (2, 1, 1)
    with pytest.raises(KeyError):
        things[3]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "Door", "door", "Door (Home)", "Door (Home, 1)", "1", "Door #2"]),
            st.integers(1, 3),
            st.sampled_from(["", "Home", "Barn"]),
        ),
        max_size=8,
    )
)
def test_nothing_is_ever_lost(found: list[tuple[str, int, str]]) -> None:
    """Not by the oddest names, and not by ids that come twice, as those of cameras of two families may."""
    things = Named([Entry(thing=n, id=id, name=name, where=where) for n, (name, id, where) in enumerate(found)])
    assert [things[name] for name in things] == list(range(len(found)))
