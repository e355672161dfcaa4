"""Settings: defaults, what goes before what, every mistake at once with its cure, and never a secret."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shared.errors import SettingsError
from shared.sections import Scope
from shared.settings import Settings, load, without_effect

ROOT = Path(__file__).parent.parent.parent
SECRET = "hunter2-Passw0rd"
DIGEST = "sha256:" + "0123456789abcdef" * 4
DEFAULTS = {
    "api": {
        "host": "127.0.0.1",
        "port": 8000,
        "max_body_bytes": 1_048_576,
        "max_streams": 5000,
        "drain_seconds": 0,
        "max_batch_bytes": 8_388_608,
    },
    "queue": {
        "max_depth": 10_000,
        "max_wait_seconds": 0,
        "lease_seconds": 10,
        "max_crashes": 5,
        "retention_seconds": 604_800,
    },
    "worker": {
        "max_in_flight": 32,
        "drain_seconds": 600,
        "max_block_seconds": 60,
        "park_after_seconds": 30,
        "http_host": "127.0.0.1",
        "http_port": 8001,
        "agents": [],
    },
    "chains": {"default": {"targets": ["default"], "fallback_after_seconds": 5, "drill_percent": 0}},
    "tenants": {},
    "webhooks": {"allow_http": False, "allow_private_networks": False, "keep_answers": False},
    "sessions": {"idle_seconds": 3600, "max_history_bytes": 200_000},
    "actions": {"expire_seconds": 86_400},
}
DEFAULT_TARGET = {
    "provider": "anthropic",
    "model": "claude-sonnet-4-6",
    "base_url": "https://api.anthropic.com",
    "pool": None,
    "api_key_env": "ANTHROPIC_API_KEY",
    "requests_per_minute": 50,
    "input_tokens_per_minute": 30_000,
    "output_tokens_per_minute": 8_000,
    "max_in_flight": 64,
}

Configure = Callable[..., None]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(("SLUICE_", "REDIS_URL", "ANTHROPIC_")):
            monkeypatch.delenv(name)


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Configure:
    """Sets variables, and SLUICE_CONFIG to a file of this text."""

    def write(text: str | bytes | None = None, **variables: str) -> None:
        if text is not None:
            path = tmp_path / "sluice.toml"
            path.write_bytes(text.encode() if isinstance(text, str) else text)
            monkeypatch.setenv("SLUICE_CONFIG", str(path))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return write


def mistakes(part: Any = "api") -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(part)
    return caught.value.mistakes


def test_without_anything_the_defaults_are_those_of_the_documentation() -> None:
    settings = load("api")
    assert {name: settings.model_dump()[name] for name in DEFAULTS} == DEFAULTS
    assert settings.redis.url.get_secret_value() == "redis://127.0.0.1:6379/0"
    assert {name: target.model_dump() for name, target in settings.targets.items()} == {"default": DEFAULT_TARGET}
    assert settings.targets["default"].pool_name == "claude-sonnet-4-6"
    assert settings.open_access


def test_a_file_sets_everything(configure: Configure) -> None:
    configure(f"""
        [api]
        host = "0.0.0.0"
        port = 80
        [redis]
        url = "rediss://user:{SECRET}@redis.example:6380/1"
        [queue]
        max_wait_seconds = 1.5
        [worker]
        agents = ["examples.invoices"]
        [targets.sonnet]
        base_url = "http://gateway:4000"
        pool = "sonnet-4"
        api_key_env = "GATEWAY_KEY"
        [targets.haiku]
        model = "claude-haiku-4-5"
        [chains.default]
        targets = ["sonnet", "haiku"]
        drill_percent = 0.5
        [tenants.acme]
        key_digests = ["{DIGEST}"]
        daily_cost_usd = "50.00"
    """)
    settings = load("api")
    assert settings.redis.url.get_secret_value() == f"rediss://user:{SECRET}@redis.example:6380/1"
    assert (settings.api.port, settings.queue.max_wait_seconds) == (80, 1.5)
    assert settings.worker.agents == ["examples.invoices"]
    assert settings.targets["sonnet"].base_url == "http://gateway:4000"
    assert settings.targets["haiku"].base_url == "https://api.anthropic.com"
    assert settings.chains["default"].targets == ["sonnet", "haiku"]
    assert settings.tenants["acme"].daily_cost_usd == Decimal("50.00")
    assert not settings.open_access


def test_a_variable_goes_before_the_file(configure: Configure) -> None:
    configure("[api]\nport = 1\nmax_body_bytes = 2048\n[targets.default]\nmodel = 'a'", SLUICE_API__PORT="2")
    configure(SLUICE_TARGETS__DEFAULT__MODEL="b", SLUICE_TARGETS__DEFAULT__MAX_IN_FLIGHT="3")
    settings = load("api")
    assert (settings.api.port, settings.api.max_body_bytes) == (2, 2048)
    assert (settings.targets["default"].model, settings.targets["default"].max_in_flight) == ("b", 3)


def test_lists_and_tables_in_variables_are_json(configure: Configure) -> None:
    configure(SLUICE_WORKER__AGENTS='["a", "b"]', SLUICE_TENANTS__ACME__KEY_DIGESTS=f'["{DIGEST}"]')
    configure(SLUICE_CHAINS='{"default": {"targets": ["default"]}}')
    settings = load("api")
    assert settings.worker.agents == ["a", "b"]
    assert settings.tenants["acme"].key_digests == [DIGEST]


def test_the_address_of_redis_has_a_usual_name_too(configure: Configure) -> None:
    configure("[redis]\nurl = 'redis://file'", REDIS_URL="redis://usual")
    assert load("api").redis.url.get_secret_value() == "redis://usual"
    configure(SLUICE_REDIS__URL="redis://own")
    assert load("api").redis.url.get_secret_value() == "redis://own"


def test_secrets_may_come_from_files(configure: Configure, tmp_path: Path) -> None:
    for name, text in (("url", f"redis://:{SECRET}@h\n"), ("key", f" {SECRET}\n"), ("base", "http://gateway\n")):
        (tmp_path / name).write_text(text)
    configure(REDIS_URL_FILE=str(tmp_path / "url"), ANTHROPIC_API_KEY_FILE=str(tmp_path / "key"))
    configure(ANTHROPIC_BASE_URL_FILE=str(tmp_path / "base"))
    settings = load("worker")
    assert settings.redis.url.get_secret_value() == f"redis://:{SECRET}@h"
    key = settings.targets["default"].api_key
    assert key is not None
    assert key.get_secret_value() == SECRET
    assert settings.targets["default"].base_url == "http://gateway"


def test_each_target_has_the_key_of_its_own_variable(configure: Configure) -> None:
    configure("[targets.a]\n[targets.b]\napi_key_env = 'OTHER'\n[chains.default]\ntargets = ['a', 'b']")
    configure(ANTHROPIC_API_KEY="first", OTHER="second")
    keys = {name: target.api_key for name, target in load("worker").targets.items()}
    assert {name: key and key.get_secret_value() for name, key in keys.items()} == {"a": "first", "b": "second"}


@pytest.mark.parametrize("name", ["REDIS_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"])
def test_a_value_and_a_file_for_it_are_a_mistake(configure: Configure, name: str, tmp_path: Path) -> None:
    (tmp_path / "value").write_text("redis://h")
    configure(**{"ANTHROPIC_API_KEY": "key", name: "http://x", f"{name}_FILE": str(tmp_path / "value")})
    assert mistakes("worker") == [f"{name} and {name}_FILE are both set: unset one of them"]


@pytest.mark.parametrize("name", ["REDIS_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"])
def test_a_file_that_holds_nothing_is_a_mistake(configure: Configure, name: str, tmp_path: Path) -> None:
    if name != "ANTHROPIC_API_KEY":
        configure(ANTHROPIC_API_KEY="key")
    path = tmp_path / "value"
    configure(**{f"{name}_FILE": str(path)})
    assert mistakes("worker") == [f"{name}_FILE={path}: cannot be read: FileNotFoundError"]
    path.write_text(" \n")
    assert mistakes("worker") == [f"{name}_FILE={path}: the file is empty"]
    path.write_bytes(b"\xff")
    assert mistakes("worker") == [f"{name}_FILE={path}: cannot be read: UnicodeDecodeError"]


def test_an_empty_variable_is_as_if_it_were_not_there(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://h")
    configure(REDIS_URL="", REDIS_URL_FILE=str(tmp_path / "url"), ANTHROPIC_BASE_URL="", SLUICE_CONFIG="")
    assert load("api").redis.url.get_secret_value() == "redis://h"


def test_all_mistakes_are_told_at_once(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://h")
    configure(
        """
        [api]
        port = 99999
        prot = 1
        [queue]
        max_depth = 0
        lease_seconds = "soon"
        [webhooks]
        allow_http = 7
        [quueue]
        x = 1
        [chains.other]
        targets = ["nobody"]
        [tenants.acme]
        key_digests = ["x", "y"]
        weight = 0
        """,
        SLUICE_WORKER__MAX_IN_FLIGHT="many",
        SLUICE_WORKER__AGENTS="a,b",
        SLUICE_QUEUES__X="1",
        REDIS_URL="redis://h",
        REDIS_URL_FILE=str(tmp_path / "url"),
        ANTHROPIC_BASE_URL="gateway",
    )
    found = mistakes()
    places = sorted(line.split(": ")[0].split(" and ")[0] for line in found)
    assert places == [
        "ANTHROPIC_BASE_URL",
        "REDIS_URL",
        "SLUICE_QUEUES__X",
        "api.port",
        "api.prot",
        "chains",
        "chains.other.targets",
        "queue.lease_seconds",
        "queue.max_depth",
        "quueue",
        "tenants.acme.key_digests.0",
        "tenants.acme.key_digests.1",
        "tenants.acme.weight",
        "webhooks.allow_http",
        "worker.agents",
        "worker.max_in_flight",
    ]
    text = str(SettingsError(found))
    assert text.startswith("16 mistakes in the settings:\n  - ")
    assert text.count("\n") == 16


def test_a_mistake_says_what_is_right_and_where_it_can_be_set(configure: Configure) -> None:
    configure("[api]\nport = 99999")
    assert mistakes() == [
        "api.port: input should be less than or equal to 65535, not 99999 (also settable as SLUICE_API__PORT)"
    ]


SUGGESTIONS = {
    "a setting": ("[api]\nprot = 1", {}, "api.prot", "port"),
    "a section": ("[quueue]\nx = 1", {}, "quueue", "queue"),
    "of a target": ("[targets.a]\nmodle = 'x'", {}, "targets.a.modle", "model"),
    "of a chain": (
        "[chains.default]\ntargets = ['default']\ndril_percent = 1",
        {},
        "chains.default.dril_percent",
        "drill_percent",
    ),
    "of a tenant's key": (
        f"[tenants.a.keys.ci]\ndigest = '{DIGEST}'\nscope = ['read']",
        {},
        "tenants.a.keys.ci.scope",
        "scopes",
    ),
    "of a tenant": ("[tenants.a]\nwieght = 1", {}, "tenants.a.wieght", "weight"),
    "a variable": (None, {"SLUICE_QUEUE__MAX_DEPHT": "1"}, "queue.max_depht", "max_depth"),
    "a variable's section": (None, {"SLUICE_QUEU__MAX_DEPTH": "1"}, "SLUICE_QUEU__MAX_DEPTH", "SLUICE_QUEUE"),
    "a variable without a section": (None, {"SLUICE_CONFG": "x"}, "SLUICE_CONFG", "SLUICE_CONFIG"),
}


@pytest.mark.parametrize(("text", "variables", "place", "right"), SUGGESTIONS.values(), ids=SUGGESTIONS.keys())
def test_what_there_is_not_is_refused_with_what_may_be_meant(
    configure: Configure, text: str | None, variables: dict[str, str], place: str, right: str
) -> None:
    configure(text, **variables)
    assert mistakes() == [f"{place}: there is no such setting; did you mean {right}?"]


def test_what_is_like_nothing_is_refused_without_a_suggestion(configure: Configure) -> None:
    configure("[zzz]\nx = 1\n[api]\nqqq = 1")
    assert sorted(mistakes()) == ["api.qqq: there is no such setting", "zzz: there is no such setting"]


WRONG = {
    "api.port": ["-1", "65536", "http", "8000.5", ""],
    "api.max_body_bytes": ["0", "1023", "1MB"],
    "api.max_streams": ["0", "-1", "many"],
    "queue.max_depth": ["0", "-1", "1e999", "nan"],
    "queue.max_wait_seconds": ["-0.1", "nan", "inf", "soon"],
    "queue.lease_seconds": ["0", "0.9", "inf", "nan"],
    "queue.max_crashes": ["0"],
    "queue.retention_seconds": ["59", "1.5"],
    "worker.drain_seconds": ["-1", "inf"],
    "worker.agents": ["a", "{}", '"a"', "[1]"],
    "targets.default.base_url": ["gateway", "ftp://x", ""],
    "targets.default.model": ["", "}x", "a{b"],
    "targets.default.provider": ["openai"],
    "targets.default.pool": ["a b", ""],
    "targets.default.requests_per_minute": ["0"],
    "chains.default.drill_percent": ["-1", "101", "nan"],
    "chains.default.fallback_after_seconds": ["0", "-1", "inf", "soon"],
    "tenants.acme.weight": ["0", "-1", "inf"],
    "tenants.acme.daily_cost_usd": ["0", "0.0000001", "free", "inf"],
    "tenants.acme.key_digests": [DIGEST, '["md5:abc"]', f'["{DIGEST.upper()}"]', f'["{DIGEST}0"]'],
    "tenants.acme.submits_per_minute": ["0", "60001", "1.5"],
    "tenants.acme.keys": [DIGEST, '{"ci": {"digest": "md5:abc"}}', '{"a key": {"digest": "' + DIGEST + '"}}'],
    "tenants.acme.keys.ci": ['{"digest": "' + DIGEST + '", "expires_at": "2030-01-01T00:00:00"}'],
    "webhooks.allow_http": ["perhaps"],
    "webhooks.allow_private_networks": ["perhaps"],
    "webhooks.keep_answers": ["4096"],
    "sessions.idle_seconds": ["0"],
    "sessions.max_history_bytes": ["0", "1023"],
    "actions.expire_seconds": ["0"],
    "redis.url": ["", "localhost:6379", "http://h", "redis://h:port", "redis://h:0", "redis://h:99999", "redis://h/x"],
}


@pytest.mark.parametrize(("place", "value"), [(place, value) for place, values in WRONG.items() for value in values])
def test_a_wrong_value_is_refused_at_its_place(configure: Configure, place: str, value: str) -> None:
    configure("[chains.default]\ntargets = ['default']", **{f"SLUICE_{place.replace('.', '__').upper()}": value})
    (mistake,) = mistakes()
    assert mistake.startswith(place)


GOOD_URLS = [
    "redis://h",
    "redis://h:6380/3",
    "redis://:p%40%2F@[::1]:6379/0?health_check_interval=2",
    "rediss://u:p@h",
    "unix:///run/redis.sock?db=1",
    "redis+sentinel://a,b:26380/main",
    "redis+sentinel://u:p@a:1,b:2/main/3",
]


@pytest.mark.parametrize("url", GOOD_URLS)
def test_every_kind_of_address_of_redis_is_taken(configure: Configure, url: str) -> None:
    configure(REDIS_URL=url)
    assert load("api").redis.url.get_secret_value() == url


BAD_URLS = [
    f"http://user:{SECRET}@h",
    f"user:{SECRET}@h:6379",
    f"redis://:{SECRET}/x@h:6379/0",
    f"redis://:{SECRET}#x@h:6379/0",
    f"redis://:@{SECRET}/x@h:6379/0",
    f"redis://[{SECRET}",
    f"redis://h:{SECRET}",
    f"redis+sentinel://:{SECRET}@a:b/main",
    f"redis+sentinel://:{SECRET}@a",
    f"unix://{SECRET}",
]


@pytest.mark.parametrize("url", BAD_URLS)
@pytest.mark.parametrize("name", ["REDIS_URL", "SLUICE_REDIS__URL", "REDIS_URL_FILE", "file"])
def test_a_wrong_address_is_not_shown(configure: Configure, name: str, url: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(url)
    if name == "file":
        configure(f"[redis]\nurl = '{url}'")
    else:
        configure(**{name: str(tmp_path / "url") if name.endswith("_FILE") else url})
    (mistake,) = mistakes()
    assert mistake.startswith("redis.url: ")
    assert SECRET not in mistake


LEAKS: dict[str, tuple[str | None, dict[str, str]]] = {
    "a key in the file": (f"[targets.default]\napi_key = '{SECRET}'", {}),
    "a key for the variable's name": (f"[targets.default]\napi_key_env = '{SECRET}'", {}),
    "a key in a variable of ours": (None, {"SLUICE_TARGETS__DEFAULT__API_KEY": SECRET}),
    "a key in an unknown variable": (None, {"SLUICE_API_KEY": SECRET}),
    "a key for a digest": (f"[tenants.a]\nkey_digests = ['{SECRET}']", {}),
    "a key for digests": (f"[tenants.a]\nkey_digests = '{SECRET}'", {}),
    "a key for digests in a variable": (None, {"SLUICE_TENANTS__A__KEY_DIGESTS": SECRET}),
    "a digest with the key in it": (None, {"SLUICE_TENANTS__A__KEY_DIGESTS": f'["sha256:{SECRET}"]'}),
    "a key for the digest of a key": (f"[tenants.a.keys.ci]\ndigest = '{SECRET}'", {}),
    "a key for a table of keys": (f"[tenants.a]\nkeys = '{SECRET}'", {}),
    "a key for a key of a name": (f"[tenants.a.keys]\nci = '{SECRET}'", {}),
    "a key for a tenant": (f"[tenants]\nacme = '{SECRET}'", {}),
    "a key for all tenants": (None, {"SLUICE_TENANTS": SECRET}),
    "a table broken off": (None, {"SLUICE_TENANTS": '{"a": {"key_digests": ["' + SECRET}),
    "an address for the section": (f"redis = 'redis://:{SECRET}@h'", {}),
    "an address for the section in a variable": (None, {"SLUICE_REDIS": f"redis://:{SECRET}@h"}),
    "a list of addresses": (f"[redis]\nurl = ['redis://:{SECRET}@h']", {}),
    "a password of its own": (f"[redis]\npassword = '{SECRET}'", {}),
    "an address without quotes": (f"[redis]\nurl = redis://:{SECRET}@h", {}),
    "an address that does not end": (f"[redis]\nurl = 'redis://:{SECRET}@h\n", {}),
    "a base address": (None, {"ANTHROPIC_BASE_URL": f"ftp://user:{SECRET}@h"}),
    "a target's base address": (f"[targets.default]\nbase_url = 'user:{SECRET}@h'", {}),
    "a key and its file": (None, {"ANTHROPIC_API_KEY": SECRET, "ANTHROPIC_API_KEY_FILE": "x"}),
}


@pytest.mark.parametrize(("text", "variables"), LEAKS.values(), ids=LEAKS.keys())
def test_no_mistake_shows_a_secret(configure: Configure, text: str | None, variables: dict[str, str]) -> None:
    configure(text, **variables)
    with pytest.raises(SettingsError) as caught:
        load("api")
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_even_a_number_for_a_digest_is_not_shown(configure: Configure) -> None:
    configure("[tenants.a]\nkey_digests = [271828182]\n[redis]\nurl = 271828182")
    assert "271828182" not in str(SettingsError(mistakes()))


def test_settings_show_no_secrets(configure: Configure) -> None:
    configure(REDIS_URL=f"redis://:{SECRET}@h", ANTHROPIC_API_KEY=SECRET)
    settings = load("worker")
    shown = (repr, str, lambda it: repr(it.model_dump()), lambda it: it.model_dump_json(), lambda it: f"{vars(it)}")
    for show in shown:
        assert SECRET not in show(settings)
        assert SECRET not in show(settings.redis)
        assert SECRET not in show(settings.targets["default"])


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load("api").api = Settings().api


FILES = {
    "a statement that is none": (b"[api\nport = 1", "line 1"),
    "a table twice": (b"[api]\n[api]\n", "line 2"),
    "no value": (b"[api]\nport =\n", "line 2"),
    "no UTF-8": (b"[api]\nhost = '\xff'", "not UTF-8"),
    "binary": (bytes(range(256)), ""),
}


@pytest.mark.parametrize(("text", "says"), FILES.values(), ids=FILES.keys())
def test_a_file_that_is_no_toml_is_a_mistake(configure: Configure, text: bytes, says: str, tmp_path: Path) -> None:
    configure(text, SLUICE_CONFG="x")
    strange, broken = mistakes()
    assert strange.startswith("SLUICE_CONFG")
    assert broken.startswith(f"SLUICE_CONFIG={tmp_path / 'sluice.toml'}: ")
    assert says in broken


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_is_not_there_is_a_mistake(configure: Configure, tmp_path: Path, name: str) -> None:
    configure(SLUICE_CONFIG=str(tmp_path / name))
    assert mistakes() == [f"SLUICE_CONFIG={tmp_path / name}: there is no such file"]


CHAINS = {
    "no such target": ("[chains.default]\ntargets = ['x']", "there is no target 'x'; there is default"),
    "no default chain": ("[chains.x]\ntargets = ['default']", "there is no chain `default`"),
    "a target twice": ("[chains.default]\ntargets = ['default', 'default']", "a target stands twice"),
    "no targets": ("[chains.default]\ntargets = []", "at least 1"),
    "a list for a target": ("[chains.default]\ntargets = [['default']]", "valid string"),
    "targets of no chain": ("[targets.a]\n[targets.b]", '[chains.default] targets = ["a", "b"]'),
    "a chain of no table": ("chains = ['a']", "valid dictionary"),
    "a target of no table": ("[targets]\na = 1", "valid dictionary"),
    "a name with a blank": ("[targets.'a b']", "string should match"),
}


@pytest.mark.parametrize(("text", "says"), CHAINS.values(), ids=CHAINS.keys())
def test_chains_that_lead_nowhere_are_a_mistake(configure: Configure, text: str, says: str) -> None:
    configure(text)
    (mistake,) = mistakes()
    assert says in mistake


TWO_OF_ONE_POOL = "[targets.a]\nmax_in_flight = 9\n[targets.b]\n{}\n[chains.default]\ntargets = ['a', 'b']"


@pytest.mark.parametrize("beside", ["", "max_in_flight = 9\nrequests_per_minute = 60"])
def test_targets_of_one_pool_with_different_limits_are_a_mistake(configure: Configure, beside: str) -> None:
    """They share one gate: the limits of whoever called last would hold for both."""
    configure(TWO_OF_ONE_POOL.format(beside))
    (mistake,) = mistakes()
    assert mistake.startswith("targets.b: shares the pool claude-sonnet-4-6 with targets.a, but ")
    assert ("max_in_flight is 64 here and 9 there" in mistake) == (not beside)
    assert ("requests_per_minute is 60 here and 50 there" in mistake) == bool(beside)
    assert "give both the same limits" in mistake


@pytest.mark.parametrize("beside", ["max_in_flight = 9", "pool = 'other'", "model = 'other'"])
def test_targets_of_one_pool_with_the_same_limits_are_none(configure: Configure, beside: str) -> None:
    configure(TWO_OF_ONE_POOL.format(beside), SLUICE_TARGETS__A__MAX_IN_FLIGHT="9")
    assert load("api").targets["a"].max_in_flight == 9


TWO_TARGETS = "[targets.a]\n[targets.b]\n[chains.default]\ntargets = ['a', 'b']\ndrill_percent = 5"


@pytest.mark.parametrize(
    ("text", "idle"),
    [
        ("", []),
        (TWO_TARGETS, []),
        ("[webhooks]\nallow_http = true\nallow_private_networks = true\nkeep_answers = true", []),
        (
            "[chains.default]\ntargets = ['default']\ndrill_percent = 5",
            ["chains.default.drill_percent (there is no second target)"],
        ),
    ],
)
def test_a_setting_of_a_chain_that_can_do_nothing_is_named(configure: Configure, text: str, idle: list[str]) -> None:
    configure(text)
    assert without_effect(load("api")) == idle


def test_keys_have_scopes_and_an_end(configure: Configure) -> None:
    configure(f"""
        [tenants.acme.keys.ci]
        digest = "{DIGEST}"
        scopes = ["submit"]
        expires_at = 2030-01-01T00:00:00+01:00
    """)
    settings = load("api")
    key = settings.tenants["acme"].keys["ci"]
    assert (key.digest, key.scopes) == (DIGEST, [Scope.SUBMIT])
    assert key.expires_at == datetime(2029, 12, 31, 23, tzinfo=UTC)
    assert not settings.open_access
    assert without_effect(settings) == []


@pytest.mark.parametrize("scopes", ["[]", '["write"]', '"read"'])
def test_a_key_is_good_for_something_that_there_is(configure: Configure, scopes: str) -> None:
    configure(f"[tenants.a.keys.ci]\ndigest = '{DIGEST}'\nscopes = {scopes}")
    (mistake,) = mistakes()
    assert mistake.startswith("tenants.a.keys.ci.scopes")


@pytest.mark.parametrize(
    "text",
    [
        f"[tenants.a]\nkey_digests = ['{DIGEST}']\n[tenants.b.keys.ci]\ndigest = '{DIGEST}'",
        f"[tenants.a.keys.x]\ndigest = '{DIGEST}'\n[tenants.b.keys.y]\ndigest = '{DIGEST}'",
        f"[tenants.a.keys.x]\ndigest = '{DIGEST}'\n[tenants.a.keys.y]\ndigest = '{DIGEST}'\nscopes = ['admin']",
    ],
)
def test_a_key_stands_in_one_place(configure: Configure, text: str) -> None:
    configure(text)
    found = mistakes()
    assert len(found) == 2
    assert all(mistake.endswith("a digest stands twice; give each tenant keys of its own") for mistake in found)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_keys(configure: Configure, host: str) -> None:
    configure(SLUICE_API__HOST=host)
    assert load("api").api.host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "example.com", "localhost.example.com"])  # noqa: S104
def test_any_other_address_needs_keys_or_permission(configure: Configure, host: str) -> None:
    configure(SLUICE_API__HOST=host)
    assert "SLUICE_ALLOW_ANONYMOUS=1" in mistakes()[0]
    configure("[tenants.acme]\nweight = 2")
    assert "no tenant has a key" in mistakes()[0]
    configure(f"[tenants.acme]\nkey_digests = ['{DIGEST}']")
    assert load("api").api.host == host
    configure(f"[tenants.acme.keys.ci]\ndigest = '{DIGEST}'")
    assert load("api").api.host == host
    configure("", SLUICE_ALLOW_ANONYMOUS="1")
    assert load("api").api.host == host


def test_the_worker_does_not_care_where_the_api_is_bound(configure: Configure) -> None:
    configure(SLUICE_API__HOST="0.0.0.0", ANTHROPIC_API_KEY="key")  # noqa: S104
    load("worker")


def test_the_worker_needs_the_key_of_every_target_and_the_api_none(configure: Configure) -> None:
    configure("[targets.a]\n[targets.b]\napi_key_env = 'OTHER'\n[chains.default]\ntargets = ['a', 'b']")
    load("api")
    assert [mistake.split(" is not set")[0] for mistake in mistakes("worker")] == [
        "targets.a: ANTHROPIC_API_KEY",
        "targets.b: OTHER",
    ]


def check(part: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", part, "--check"]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60)


def test_the_api_checks_its_settings_and_exits() -> None:
    done = check("api")
    assert (done.returncode, done.stdout, done.stderr) == (0, "settings are good\n", "")


def test_the_worker_checks_its_settings_and_names_its_agents() -> None:
    done = check("worker", ANTHROPIC_API_KEY=SECRET)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("settings are good; agents: ")
    assert {"assistant", "researcher"} <= set(
        done.stdout.strip().removeprefix("settings are good; agents: ").split(", ")
    )


@pytest.mark.parametrize("part", ["api", "worker"])
def test_a_process_with_mistakes_lists_them_and_exits_with_2(part: str) -> None:
    done = check(part, ANTHROPIC_API_KEY="x", SLUICE_API__PORT="x", REDIS_URL=f"http://:{SECRET}@h", SLUICE_FOO="1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("3 mistakes in the settings:\n  - ")
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr


def test_a_worker_without_a_key_does_not_start_and_says_how_to_set_it() -> None:
    command = [sys.executable, "-m", "worker"]
    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    for hint in ("ANTHROPIC_API_KEY is not set", "ANTHROPIC_API_KEY_FILE", "python -m local.provider"):
        assert hint in done.stderr
    assert "ANTHROPIC_BASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
