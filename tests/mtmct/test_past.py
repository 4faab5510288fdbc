"""The tracks of an identity that are no longer in memory."""

from mtmct.past import Member, Past
from operators.records import pack, unpack

NUMBERS = {"a": 4, "b": 7, "c": 1}


def three() -> Past:
    return Past([Member("b", 5, 10, 20), Member("a", 1, 0, 30, (3.0, 4.0)), Member("b", 6, 25, 40, None, (1.0, 2.0))])


def again(past: Past) -> Past:
    return Past.restored(unpack(pack(past.stored())))


def test_members_come_back_as_they_were_put_in():
    past = three()
    assert list(past) == [
        Member("b", 5, 10, 20),
        Member("a", 1, 0, 30, (3.0, 4.0)),
        Member("b", 6, 25, 40, None, (1.0, 2.0)),
    ]
    assert past[-1] == past[2] and past[-2:] == list(past)[1:] and len(past) == 3
    assert past.names() == [("b", 5), ("a", 1), ("b", 6)]


def test_the_latest_is_the_one_seen_last_and_of_equals_the_last_by_name():
    assert Past().latest() is None
    past = three()
    past.append(Member("c", 2, 39, 40))
    assert past.latest() == (40, ("c", 2))


def test_a_camera_is_taken_while_it_saw_one_and_no_longer():
    past = three()
    assert past.overlaps("b", 20, 22) and past.overlaps("b", 0, 10)
    assert not past.overlaps("b", 21, 24) and not past.overlaps("c", 0, 100)


def test_beyond_the_limit_the_first_go_and_their_cameras_with_them():
    past = Past([Member("c", 1, 0, 1), *three()])
    past.keep_last(3)
    assert list(past) == list(three()) and set(past.cameras) == {"a", "b"}
    past.append(Member("c", 2, 50, 60))
    assert past[-1] == Member("c", 2, 50, 60), "a camera that was gone may come again"
    past.keep_last(9)
    assert len(past) == 4


def test_two_pasts_joined_are_in_order_of_their_ends_then_cameras():
    past = three()
    past.join(Past([Member("c", 9, 0, 30, (5.0, 6.0), (7.0, 8.0)), Member("a", 2, 31, 35)]))
    assert [(one.camera, one.track) for one in past] == [("b", 5), ("a", 1), ("c", 9), ("a", 2), ("b", 6)]
    assert past[1].came == (3.0, 4.0) and past[2].went == (7.0, 8.0) and past[3].came is None
    past.join(Past())
    assert len(past) == 5


def test_what_is_given_up_ends_earlier_and_it_is_not_known_where_it_went():
    past = three()
    past.shorten({("b", 6, 25): 26, ("b", 5, 11): 0})
    assert [(one.track, one.end_ns) for one in past] == [(5, 20), (6, 26), (1, 30)]
    assert past[1].went is None and past[2].came == (3.0, 4.0)


def test_a_clock_put_right_moves_what_its_camera_saw():
    past = three()
    past.timetable(NUMBERS)
    assert past.retime("b", 5) and not past.retime("c", 5)
    assert [(one.start_ns, one.end_ns) for one in past] == [(15, 25), (0, 30), (30, 45)]
    assert past.timetable(NUMBERS)[1].tolist() == [0, 15, 30]


def test_the_timetable_is_by_camera_and_says_the_order_by_start():
    past = three()
    past.append(Member("b", 7, 5, 6))
    camera, start, end, by_start, reach = past.timetable(NUMBERS).tolist()
    assert list(zip(camera, start, end, strict=True)) == [(4, 0, 30), (7, 5, 6), (7, 10, 20), (7, 25, 40)]
    assert [start[place] for place in by_start] == [0, 5, 10, 25] and reach == [30, 30, 30, 40]


def test_what_is_stored_goes_on_as_what_never_stopped():
    one = three()
    other = again(one)
    for past in (one, other):
        past.append(Member("c", 3, 50, 60, (1.0, 1.0)))
        past.keep_last(2)
        past.join(Past([Member("a", 8, 41, 45)]))
        past.append(Member("b", 9, 70, 80))
    assert list(one) == list(other)
    assert pack(one.stored()) == pack(other.stored()) == pack(again(one).stored())


def test_a_list_of_members_of_an_earlier_build_is_read():
    past = Past.restored([["b", 5, 10, 20], ["a", 1, 0, 30, [3.0, 4.0], None]])
    assert list(past) == [Member("b", 5, 10, 20), Member("a", 1, 0, 30, (3.0, 4.0))]
