"""How options may be written, what is suggested, and how defaults are shown."""

from __future__ import annotations

import importlib

import pytest

from fgbg.pipeline.__main__ import _COMMANDS, main
from fgbg.pipeline.options.names import HelpFormatter, as_known, suggest
from fgbg.pipeline.options.parser import Parser, add_switch, generate_parser, parse
from tests.helpers.data_sets import arguments

REQUIRED = ["--backgrounds", "b", "--foregrounds", "f", "--output", "o"]


@pytest.fixture
def known():
    return generate_parser()._option_string_actions


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("--image-quality=3", "--image_quality=3"),
        ("--image-quality", "--image_quality"),
        ("--no-mirror", "--mirror=false"),
        ("--no_mirror", "--mirror=false"),
        ("--no-skip-bad-inputs", "--skip_bad_inputs=false"),
        ("--no-fsync", "--no_fsync=true"),
        ("--no-placements", "--no-placements"),  # takes no true or false
        ("--no-mirror=true", "--no-mirror=true"),  # of no meaning
        ("--image_quality", "--image_quality"),
        ("--nothing-known", "--nothing-known"),
        ("a-file", "a-file"),
        ("-x", "-x"),
    ],
)
def test_options_are_read_as_people_write_them(given, read, known):
    assert as_known([given], known) == [read]


def test_what_follows_two_hyphens_is_no_option(known):
    assert as_known(["--", "--no-mirror"], known) == ["--", "--no-mirror"]


@pytest.mark.parametrize(
    ("more", "mirror"),
    [
        ([], True),
        (["--mirror"], True),
        (["--no-mirror"], False),
        (["--mirror=false"], False),
        (["--mirror", "false"], False),
        (["--no-mirror", "--mirror"], True),
    ],
)
def test_a_switch_is_given_alone_or_with_a_value_or_negated(more, mirror):
    assert generate_parser().parse_args([*REQUIRED, *more]).mirror is mirror


@pytest.mark.parametrize("given", [["--light", "a"], ["a", "--light"], ["--light", "true", "a"]])
def test_a_switch_does_not_take_what_stands_behind_it(given):
    parser = Parser(prog="x")
    parser.add_argument("path")
    add_switch(parser.add_argument, "--light", "light")
    found = parser.parse_args(given)
    assert found.path == "a" and found.light is True


def test_options_of_beam_may_have_hyphens():
    _, beam = parse(generate_parser(), [*REQUIRED, "--num-workers=3", "--temp-location", "gs://x"])
    assert beam == ["--num_workers=3", "--temp_location", "gs://x"]


@pytest.mark.parametrize("unknown", ["--verbose", "--overview", "--report", "--override"])
def test_nothing_destructive_is_suggested_for_something_else(unknown, known):
    told = suggest(unknown, list(known))
    assert "overwrite" not in told and "repair" not in told


def test_a_typing_error_in_a_destructive_option_is_told(known):
    assert "did you mean --overwrite?" in suggest("--overwite", list(known))


def help_of(command: str, capsys: pytest.CaptureFixture) -> str:
    with pytest.raises(SystemExit):
        importlib.import_module(_COMMANDS[command][0]).main(["--help"])
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", sorted(set(_COMMANDS) - {"template-metadata"}))
def test_help_shows_empty_defaults_in_words(command, capsys):
    told = help_of(command, capsys)
    assert "None:" not in told and "(default: None)" not in told


def test_help_shows_each_default_once():
    parser = generate_parser()
    texts = [HelpFormatter("x")._get_help_string(action) for action in parser._actions]
    assert [text for text in texts if text.count("default:") > 1] == []
    assert any("(default: true)" in text for text in texts)


def test_help_of_a_command_is_asked_for_in_two_ways(capsys):
    told = []
    for command in (["help", "show"], ["show", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_told(flag, capsys):
    assert main([flag]) == 0
    assert capsys.readouterr().out.startswith("fgbg ")


@pytest.mark.usefixtures("in_process")
def test_a_quiet_command_says_its_results_only(small_inputs, tmp_path, capsys):
    command = arguments(small_inputs, tmp_path / "set")
    assert main([*command, "--quiet"]) == 0
    quiet = capsys.readouterr()
    assert quiet.err == ""
    assert "36 samples" in quiet.out
    assert main(command) == 0
    assert "nothing to do" in capsys.readouterr().err


def test_a_switch_may_be_on_without_being_asked_for():
    parser = Parser(prog="x")
    add_switch(parser.add_argument, "--light", "light", default=True)
    assert parser.parse_args([]).light and not parser.parse_args(["--no-light"]).light
