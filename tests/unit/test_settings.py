import stat
from pathlib import Path

import pytest

from gifty.settings import SECRET_NAMES, SettingsError, load_settings

STRONG = {
    "GIFTY_SECRET_KEY": "8f1b6c0e5d7a4f3e9b2c1d0a6e5f4b3c8f1b6c0e",
    "GIFTY_JWT_SECRET": "1a9d4c7e2b8f5036d7c1e9a4b2f80653a1d9c4e7",
    "INTERNAL_API_TOKEN": "c0ffee12d4a57b3e9f6081c2d3e4f5a6b7c8d9e0",
    "ANALYTICS_API_TOKEN": "5e4d3c2b1a09f8e7d6c5b4a392817065f4e3d2c1",
}
PRODUCTION = {**STRONG, "GIFTY_ENV": "production"}


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_dev_needs_nothing_and_keeps_the_secrets_it_makes(tmp_path: Path, nowhere: Path) -> None:
    environ = {"GIFTY_HOME": str(tmp_path / "home")}
    first, second = load_settings(environ, nowhere), load_settings(environ, nowhere)
    assert first.secret_key == second.secret_key
    assert len({first.secret_key, first.jwt_secret, first.internal_api_token, first.analytics_api_token}) == 4
    assert stat.S_IMODE((tmp_path / "home" / "secrets.json").stat().st_mode) == 0o600


def test_secrets_never_show(nowhere: Path) -> None:
    shown = repr(load_settings({**PRODUCTION, "DATABASE_URL": "postgresql://gifty:hunter2@db/gifty"}, nowhere))
    assert "hunter2" not in shown
    assert not any(secret in shown for secret in STRONG.values())


@pytest.mark.parametrize("name", SECRET_NAMES)
@pytest.mark.parametrize("weak", ["", "short", "a" * 64, "default_internal_token_0123456789abcdef"])
def test_production_refuses_a_weak_secret_and_names_it(name: str, weak: str, nowhere: Path) -> None:
    with pytest.raises(SettingsError) as failure:
        load_settings({**PRODUCTION, name: weak}, nowhere)
    assert [problem.split()[0] for problem in failure.value.problems] == [name]


def test_production_refuses_one_secret_for_two_things(nowhere: Path) -> None:
    with pytest.raises(SettingsError, match="two of the secrets are the same"):
        load_settings({**PRODUCTION, "GIFTY_JWT_SECRET": STRONG["GIFTY_SECRET_KEY"]}, nowhere)


def test_every_problem_is_listed_at_once(tmp_path: Path, nowhere: Path) -> None:
    wrong = {
        "GIFTY_HOME": str(tmp_path),
        "GIFTY_PORT": "http",
        "GIFTY_RATE_LIMIT": "maybe",
        "DATABASE_URL": "mysql://localhost/gifty",
        "GIFTY_CORS_ORIGINS": "https://good.example, bad.example",
        "GIFTY_TRUSTED_PROXIES": "10.0.0.0/8, proxy",
        "GIFTY_EMBEDDER": "magic",
    }
    with pytest.raises(SettingsError) as failure:
        load_settings(wrong, nowhere)
    named = {problem.split()[0] for problem in failure.value.problems}
    assert named == set(wrong) - {"GIFTY_HOME"}


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("# ours\nGIFTY_PORT=9001\nexport GIFTY_HOST='0.0.0.0'\n")
    settings = load_settings({"GIFTY_HOME": str(tmp_path), "GIFTY_PORT": "9002"}, dotenv)
    assert (settings.port, settings.host) == (9002, "0.0.0.0")
