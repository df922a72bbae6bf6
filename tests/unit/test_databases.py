"""The one rule for addresses, and what an operator is told when a database cannot be reached."""

from __future__ import annotations

import socket

import pytest

from mappings.connections.sessions import check_url, connect
from mappings.connections.unreachable import SENTENCES, DatabaseUnreachable
from mappings.problems import Refused

GOOD = [
    "postgresql://user:secret@db.example.org:5433/shop",
    "postgres://user@localhost/shop",
    "postgresql://db/shop",
    "postgresql://u:p@127.0.0.1:55432/shop",
    "postgresql://u:p@[::1]/shop",
    "postgresql://u:p@[2001:db8::1]:5432/shop",
    "postgresql://u:p%40%3A%2F%3F%23%25@my_db-1.internal./shop",
    "postgresql://u:p@db/n%C3%A4me%20with%2Fslash",
    "postgresql://u:p@db/shop?sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&connect_timeout=10",
    "postgresql://u:p@db/shop?target_session_attrs=read-write&application_name=x",
    "postgresql://u:p@3com.example/shop",
    "postgresql://u:p@0xyz/shop",
]

BAD_HOSTS = [
    "2130706433", "127.1", "127.0.1", "0177.0.0.1", "127.0.0.01", "0x7f.1", "0x7f000001", "0x7F.0.0.1", "0x",
    "127.0.0.0x1", "127.0.0.1.", "1", "0", "256.0.0.1", "1.2.3.4.5", "a,b", "127.0.0.1,db", "%2Ftmp", "%31", "/tmp",
    "", "-db", "db-", "a..b", ".db", "db..", "a b", "dä", "１２７.0.0.1",
    "[::ffff:127.0.0.1]", "[0:0::1]", "[fe80::1%25eth0]",
    "[127.0.0.1]", "::1", "[]", "[::1", "a" * 64, "...", "_", "\\\\pipe", "db\n", "@db", "x@y@db",
]  # fmt: skip

BAD_ADDRESSES = [
    "", "shop", "/tmp", "host=db dbname=shop", "mysql://u:p@db/shop", "http://db/shop", "POSTGRESQL://db/shop",
    "postgresql:/db/shop", "postgresql://db", "postgresql://db/", "postgresql:///shop", "postgresql://db:/shop",
    "postgresql://db:0/shop", "postgresql://db:65536/shop", "postgresql://db:+1/shop", "postgresql://db:5432:1/shop",
    "postgresql://db:05432/shop", "postgresql://db/shop/more", "postgresql://db/shop#x", "postgresql://db/a%00b",
    "postgresql://db/a%zz", "postgresql://db/a%ff", "postgresql://u:p:q@db/shop", " postgresql://db/shop",
    "postgresql://db/shop ", "postgresql://db/shop?host=other", "postgresql://db/shop?hostaddr=127.0.0.1",
    "postgresql://db/shop?port=1", "postgresql://db/shop?options=-c%20foo", "postgresql://db/shop?service=x",
    "postgresql://db/shop?passfile=/x", "postgresql://db/shop?user=x", "postgresql://db/shop?dbname=x",
    "postgresql://db/shop?SSLMODE=require", "postgresql://db/shop?sslmode=maybe", "postgresql://db/shop?sslmode",
    "postgresql://db/shop?sslmode=require&sslmode=disable", "postgresql://db/shop?sslcert=",
    "postgresql://db/shop?connect_timeout=0", "postgresql://db/shop?connect_timeout=999", "postgresql://db/shop?&",
    "postgresql://db/shop?target_session_attrs=x",
]  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_a_good_address_has_no_problems(url: str) -> None:
    assert check_url(url) == []


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_a_host_that_could_mean_something_else_is_refused(host: str) -> None:
    assert check_url(f"postgresql://user:hunter2@{host}/shop")


@pytest.mark.parametrize("url", BAD_ADDRESSES)
def test_a_bad_address_is_refused_before_anything_is_connected(url: str) -> None:
    assert check_url(url)
    with pytest.raises(Refused):
        connect(url, purpose="test")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@127.1/shop?options=hunter2&hunter2=1&sslmode=hunter2",
        "postgresql://user:hunter2@a@b/shop",
        "postgresql://user:hunter2?x@b/shop",
        "postgresql://user:hunter2%zz@b:hunter2/hunter2%zz",
    ],
)
def test_the_problems_repeat_nothing_of_the_address(url: str) -> None:
    problems = " ".join(check_url(url))
    assert problems and "hunter2" not in problems and "127.1" not in problems


@pytest.mark.thorough
def test_a_closed_port_and_a_stranger_are_told_alike() -> None:
    with socket.socket() as closed, socket.socket() as stranger:
        closed.bind(("127.0.0.1", 0))
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        told = [_told(closed.getsockname()[1], ""), _told(stranger.getsockname()[1], "?connect_timeout=2")]
    assert told == [SENTENCES["unanswered"]] * 2


def _told(port: int, query: str) -> str:
    with pytest.raises(DatabaseUnreachable) as caught:
        connect(f"postgresql://user:hunter2@127.0.0.1:{port}/shop{query}", purpose="test")
    return str(caught.value)
