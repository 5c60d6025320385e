"""brew's configuration: which file wins, what is the default where, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brew_provenance import brewenv
from brew_provenance.brewenv import MAX_ENV_FILE_BYTES, BrewEnvironment, read_environment
from brew_provenance.errors import UsageError

BREWS_TOKEN = "HOMEBREW_GITHUB_API_TOKEN"
SECRET = "ghp_veryverysecret"


@pytest.fixture(autouse=True, scope="module")
def no_system_file() -> Iterator[None]:
    """Whatever the machine that runs the tests has in /etc is not looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brewenv, "SYSTEM_ENV_FILE", Path("/nowhere/brew.env"))
        yield


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of our own: folders `etc`, `prefix` and `home`, with nothing in them."""
    monkeypatch.setattr(brewenv, "SYSTEM_ENV_FILE", tmp_path / "etc" / "brew.env")
    for name in ("etc", "prefix/etc/homebrew", "home/.homebrew"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def read(root: Path, environ: Mapping[str, str] | None = None, **platform: str) -> BrewEnvironment:
    return read_environment(
        {"HOMEBREW_PREFIX": str(root / "prefix"), **(environ or {})},
        home=root / "home",
        **{"system": "Darwin", "machine": "arm64", **platform},
    )


def write(root: Path, which: str, *lines: str) -> Path:
    path = root / {
        "system": "etc/brew.env",
        "prefix": "prefix/etc/homebrew/brew.env",
        "user": "home/.homebrew/brew.env",
    }.get(which, which)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


MACOS_CACHE = "Library/Caches/Homebrew"
LINUXBREW = "/home/linuxbrew/.linuxbrew"


def is_not(path: Path) -> bool:
    return False


@pytest.mark.parametrize(
    ("system", "machine", "prefix", "repository", "cache"),
    [
        ("Darwin", "arm64", "/opt/homebrew", "/opt/homebrew", MACOS_CACHE),
        ("Darwin", "x86_64", "/usr/local", "/usr/local/Homebrew", MACOS_CACHE),
        ("Linux", "x86_64", LINUXBREW, f"{LINUXBREW}/Homebrew", ".cache/Homebrew"),
        ("Linux", "aarch64", LINUXBREW, f"{LINUXBREW}/Homebrew", ".cache/Homebrew"),
        ("Linux", "arm64", LINUXBREW, f"{LINUXBREW}/Homebrew", ".cache/Homebrew"),
        ("FreeBSD", "amd64", "/usr/local", "/usr/local/Homebrew", ".cache/Homebrew"),
    ],
)
def test_a_platform_has_the_folders_that_brew_gives_it(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, prefix: str, repository: str, cache: str
) -> None:
    # No brew of the machine that runs the tests is looked at.
    for name in ("is_symlink", "exists", "is_dir", "is_file"):
        monkeypatch.setattr(Path, name, is_not)
    found = read_environment({}, home=Path("/home/me"), system=system, machine=machine)
    assert (found.prefix, found.repository) == (Path(prefix), Path(repository))
    assert found.cellar == Path(prefix) / "Cellar"
    assert found.cache == Path("/home/me") / cache


def test_nothing_is_set_where_nobody_set_it(root: Path) -> None:
    found = read(root)
    assert found == BrewEnvironment(
        prefix=root / "prefix",
        cellar=root / "prefix/Cellar",
        repository=root / "prefix",
        cache=root / "home/Library/Caches/Homebrew",
        api_domain=None,
        bottle_domain=None,
        artifact_domain=None,
        artifact_domain_no_fallback=False,
        docker_registry_token=None,
        docker_registry_basic_auth_token=None,
        github_api_token=None,
        github_api_token_from=None,
        no_install_from_api=False,
        no_color=False,
    )


def test_every_variable_has_its_place(root: Path) -> None:
    found = read(
        root,
        {
            "HOMEBREW_CELLAR": "/cellar",
            "HOMEBREW_REPOSITORY": "/repository",
            "HOMEBREW_CACHE": "/cache",
            "HOMEBREW_API_DOMAIN": "https://api.example.com",
            "HOMEBREW_BOTTLE_DOMAIN": "https://bottles.example.com:8443/v2/x",
            "HOMEBREW_ARTIFACT_DOMAIN": "https://artifacts.example.com/",
            "HOMEBREW_ARTIFACT_DOMAIN_NO_FALLBACK": "0",
            "HOMEBREW_DOCKER_REGISTRY_TOKEN": "bearer",
            "HOMEBREW_DOCKER_REGISTRY_BASIC_AUTH_TOKEN": "none",
            BREWS_TOKEN: SECRET,
            "HOMEBREW_NO_INSTALL_FROM_API": "false",
            "HOMEBREW_NO_COLOR": "no",
        },
    )
    assert found == BrewEnvironment(
        prefix=root / "prefix",
        cellar=Path("/cellar"),
        repository=Path("/repository"),
        cache=Path("/cache"),
        api_domain="https://api.example.com",
        bottle_domain="https://bottles.example.com:8443/v2/x",
        artifact_domain="https://artifacts.example.com/",
        artifact_domain_no_fallback=True,
        docker_registry_token="bearer",
        docker_registry_basic_auth_token="none",
        github_api_token=SECRET,
        github_api_token_from="HOMEBREW_GITHUB_API_TOKEN in the environment",
        no_install_from_api=True,
        no_color=True,
    )


def test_the_default_domains_are_no_mirrors(root: Path) -> None:
    found = read(
        root,
        {
            "HOMEBREW_API_DOMAIN": brewenv.DEFAULT_API_DOMAIN,
            "HOMEBREW_BOTTLE_DOMAIN": brewenv.DEFAULT_BOTTLE_DOMAIN,
        },
    )
    assert (found.api_domain, found.bottle_domain) == (None, None)


def api(which: str) -> str:
    return f"HOMEBREW_API_DOMAIN=https://{which}.example.com"


@pytest.mark.parametrize(
    ("files", "wins"),
    [
        ((), "process"),
        (("system",), "system"),
        (("system", "prefix"), "prefix"),
        (("system", "prefix", "user"), "user"),
        (("system", "user"), "user"),
        (("user",), "user"),
    ],
)
def test_the_file_read_last_wins_over_the_others_and_over_the_environment(
    root: Path, files: tuple[str, ...], wins: str
) -> None:
    for name in files:
        write(root, name, api(name))
    found = read(root, {"HOMEBREW_API_DOMAIN": "https://process.example.com"})
    assert found.api_domain == f"https://{wins}.example.com"


@pytest.mark.parametrize("where", ["system", "environment", "prefix", "user"])
def test_the_system_file_has_the_last_word_where_it_or_the_environment_asks(root: Path, where: str) -> None:
    for name in ("system", "prefix", "user"):
        write(root, name, api(name), *(["HOMEBREW_SYSTEM_ENV_TAKES_PRIORITY=1"] if name == where else []))
    found = read(root, {"HOMEBREW_SYSTEM_ENV_TAKES_PRIORITY": "1"} if where == "environment" else {})
    wins = "system" if where in {"system", "environment"} else "user"
    assert found.api_domain == f"https://{wins}.example.com"


def test_an_empty_value_in_a_file_takes_a_variable_away(root: Path) -> None:
    write(root, "user", "HOMEBREW_API_DOMAIN=", "HOMEBREW_NO_COLOR=", "HOMEBREW_CACHE=")
    found = read(
        root,
        {
            "HOMEBREW_API_DOMAIN": "https://example.com",
            "HOMEBREW_NO_COLOR": "1",
            "HOMEBREW_CACHE": "/cache",
        },
    )
    assert (found.api_domain, found.no_color) == (None, False)
    assert found.cache == root / "home/Library/Caches/Homebrew"


@pytest.mark.parametrize(
    ("variable", "wins"),
    [("XDG_CONFIG_HOME", True), ("HOMEBREW_XDG_CONFIG_HOME", True), ("HOMEBREW_USER_CONFIG_HOME", False)],
)
def test_the_user_file_is_where_xdg_says(root: Path, variable: str, wins: bool) -> None:
    write(root, "user", api("user"))
    write(root, "config/homebrew/brew.env", api("xdg"))
    found = read(root, {variable: str(root / "config")})
    assert found.api_domain == f"https://{'xdg' if wins else 'user'}.example.com"


def test_xdg_config_home_comes_before_what_brew_made_of_it(root: Path) -> None:
    for name in ("a", "b"):
        write(root, f"{name}/homebrew/brew.env", api(name))
    environ = {"XDG_CONFIG_HOME": str(root / "a"), "HOMEBREW_XDG_CONFIG_HOME": str(root / "b")}
    assert read(root, environ).api_domain == "https://a.example.com"


@pytest.mark.parametrize(
    ("environ", "cache"),
    [
        ({}, "home/.cache/Homebrew"),
        ({"XDG_CACHE_HOME": "xdg"}, "xdg/Homebrew"),
        ({"HOMEBREW_XDG_CACHE_HOME": "brewed"}, "brewed/Homebrew"),
        ({"XDG_CACHE_HOME": "xdg", "HOMEBREW_XDG_CACHE_HOME": "brewed"}, "xdg/Homebrew"),
        ({"XDG_CACHE_HOME": "xdg", "HOMEBREW_CACHE": "own"}, "own"),
    ],
)
def test_the_cache_on_linux_is_where_xdg_says(root: Path, environ: dict[str, str], cache: str) -> None:
    absolute = {name: str(root / value) for name, value in environ.items()}
    assert read(root, absolute, system="Linux", machine="x86_64").cache == root / cache


def test_xdg_says_nothing_about_the_cache_on_macos(root: Path) -> None:
    assert read(root, {"XDG_CACHE_HOME": "/xdg"}).cache == root / "home/Library/Caches/Homebrew"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("HOMEBREW_CACHE=/a b", "/a b"),
        ("\t HOMEBREW_CACHE=/a \t", "/a"),
        ("HOMEBREW_CACHE=/a=b", "/a=b"),
        ("HOMEBREW_CACHE=/$HOME", "/$HOME"),
        ("HOMEBREW_CACHE=/a # b", "/a # b"),
        ('HOMEBREW_CACHE=/"a"', '/"a"'),
        ("HOMEBREW_CACHE=/a\\", "/a\\"),
        ("# HOMEBREW_CACHE=/a", None),
        ("export HOMEBREW_CACHE=/a", None),
        ("HOMEBREW_CACHE = /a", None),
        ("HOMEBREW_CACHE", None),
        ("HOMEBREW_CACHE /a=/b", None),
        ("homebrew_cache=/a", None),
        ("HOMEBREW_CÂCHE=/a", None),
        ("", None),
    ],
)
def test_a_line_means_what_it_means_to_brew(root: Path, line: str, value: str | None) -> None:
    write(root, "user", "HOMEBREW_CACHE=/before", line)
    assert read(root).cache == Path(value or "/before")


def test_a_last_line_without_a_line_break_is_no_line(root: Path) -> None:
    path = write(root, "user", "HOMEBREW_CACHE=/a")
    path.write_bytes(path.read_bytes() + b"HOMEBREW_CACHE=/b")
    assert read(root).cache == Path("/a")


def test_no_file_moves_the_folders_of_brew_itself(root: Path) -> None:
    for name in ("system", "prefix", "user"):
        write(root, name, *(f"HOMEBREW_{what}=/evil" for what in ("PREFIX", "CELLAR", "REPOSITORY")))
    found = read(root)
    assert (found.prefix, found.repository) == (root / "prefix", root / "prefix")
    assert found.cellar == root / "prefix/Cellar"


def test_no_file_gives_a_token_under_a_name_that_is_not_of_brew(root: Path) -> None:
    write(root, "user", f"GH_TOKEN={SECRET}", f"GITHUB_TOKEN={SECRET}", "NO_COLOR=1", "XDG_CACHE_HOME=/x")
    found = read(root, system="Linux")
    assert (found.github_api_token, found.no_color) == (None, False)
    assert found.cache == root / "home/.cache/Homebrew"


@pytest.mark.parametrize(
    ("environ", "token", "origin"),
    [
        (
            {"HOMEBREW_GITHUB_API_TOKEN": "a", "GH_TOKEN": "b", "GITHUB_TOKEN": "c"},
            "a",
            BREWS_TOKEN,
        ),
        ({"HOMEBREW_GITHUB_API_TOKEN": "", "GH_TOKEN": "b", "GITHUB_TOKEN": "c"}, "b", "GH_TOKEN"),
        ({"GITHUB_TOKEN": "c"}, "c", "GITHUB_TOKEN"),
    ],
)
def test_a_token_says_where_it_was_found(
    root: Path, environ: dict[str, str], token: str, origin: str
) -> None:
    found = read(root, environ)
    assert (found.github_api_token, found.github_api_token_from) == (token, f"{origin} in the environment")


def test_a_token_from_a_file_names_the_file(root: Path) -> None:
    path = write(root, "prefix", f"HOMEBREW_GITHUB_API_TOKEN={SECRET}")
    found = read(root, {"GH_TOKEN": "other"})
    assert found.github_api_token == SECRET
    assert found.github_api_token_from == f"HOMEBREW_GITHUB_API_TOKEN in {path}"


def test_no_token_is_printed(root: Path) -> None:
    found = read(
        root,
        {
            name: f"{SECRET}{number}"
            for number, name in enumerate(
                [
                    BREWS_TOKEN,
                    "HOMEBREW_DOCKER_REGISTRY_TOKEN",
                    "HOMEBREW_DOCKER_REGISTRY_BASIC_AUTH_TOKEN",
                ]
            )
        },
    )
    assert found.docker_registry_basic_auth_token == f"{SECRET}2"
    assert SECRET not in repr(found)


@pytest.mark.parametrize("value", [" x", "\nx", "\n", "\r", "\t", "\0", "é", "\udcff"])
@pytest.mark.parametrize(
    "name",
    [
        BREWS_TOKEN,
        "GH_TOKEN",
        "GITHUB_TOKEN",
        "HOMEBREW_DOCKER_REGISTRY_TOKEN",
        "HOMEBREW_DOCKER_REGISTRY_BASIC_AUTH_TOKEN",
    ],
)
def test_a_token_that_could_end_a_header_is_refused_unprinted(root: Path, name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{name} in the environment: a token has no blanks") as caught:
        read(root, {name: f"{SECRET}{value}"})
    assert SECRET not in f"{caught.value} {caught.value.next_step}"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/",
        "https://example.com:65535/a/b%20c/",
        "https://[2001:db8::1]/x",
        "https://my_mirror.internal/v2/ghcr-io",
        "http://localhost:8080",
        "http://LOCALHOST/x",
        "http://127.0.0.1",
        "http://127.1.2.3:1/x",
        "http://[::1]:8080",
    ],
)
@pytest.mark.parametrize("kind", ["API", "BOTTLE", "ARTIFACT"])
def test_a_mirror_is_taken_as_it_is_written(root: Path, kind: str, url: str) -> None:
    found = read(root, {f"HOMEBREW_{kind}_DOMAIN": url})
    assert getattr(found, f"{kind.lower()}_domain") == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0",
        "http://[::2]",
        "http://2130706433",
        "http://0177.0.0.1",
    ],
)
def test_http_is_for_this_machine_alone(root: Path, url: str) -> None:
    with pytest.raises(UsageError, match="HOMEBREW_API_DOMAIN in the environment: http is for this machine"):
        read(root, {"HOMEBREW_API_DOMAIN": url})


@pytest.mark.parametrize(
    "url",
    [
        "example.com",
        "//example.com",
        "https:/example.com",
        "https://",
        "https:///path",
        "https://:443",
        "https://example.com:65536",
        "https://example.com:",
        "https://example.com:443443",
        "https://[::1",
        "https://[:::]",
        "https://[1.2.3.4]",
        "https://user:password@example.com",
        "https://user@example.com",
        "https://example.com/?a=b",
        "https://example.com?a=b",
        "https://example.com/#x",
        "https://example.com\\@evil.example",
        "https://example.com/\\..",
        "https://exa mple.com",
        "https://example.com\n",
        "https://example.com\r",
        "https://example.com/\0",
        "https://exämple.com",
        "https://example.com/\udcff",
        "HTTPS://example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "docker://ghcr.io/homebrew/core",
        '"https://example.com"',
        "https://\u0661.example.com",
    ],
)
@pytest.mark.parametrize("kind", ["API", "BOTTLE", "ARTIFACT"])
def test_what_is_not_an_https_url_is_refused(root: Path, kind: str, url: str) -> None:
    with pytest.raises(
        UsageError, match=f"HOMEBREW_{kind}_DOMAIN in the environment: not an https URL"
    ) as caught:
        read(root, {f"HOMEBREW_{kind}_DOMAIN": url})
    assert "password" not in caught.value.thing + caught.value.cause


def test_a_refused_value_names_the_file_that_it_stands_in(root: Path) -> None:
    path = write(root, "system", "HOMEBREW_BOTTLE_DOMAIN=bottles")
    write(root, "user", "HOMEBREW_API_DOMAIN=https://example.com")
    with pytest.raises(UsageError) as caught:
        read(root, {"HOMEBREW_BOTTLE_DOMAIN": "https://example.com"})
    assert caught.value.thing == f"HOMEBREW_BOTTLE_DOMAIN in {path}"
    assert "https://mirror.example.com" in caught.value.next_step


@pytest.mark.parametrize(
    "name",
    [
        "HOMEBREW_PREFIX",
        "HOMEBREW_CELLAR",
        "HOMEBREW_REPOSITORY",
        "HOMEBREW_CACHE",
        "XDG_CONFIG_HOME",
        "HOMEBREW_XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
        "HOMEBREW_XDG_CACHE_HOME",
    ],
)
@pytest.mark.parametrize("value", ["relative", "~/x", "./x", " /x", "/x\0"])
def test_a_folder_is_given_from_the_root_on(root: Path, name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{name} in the environment: not an absolute path"):
        read(root, {name: value}, system="Linux")


@pytest.mark.parametrize("which", ["system", "prefix", "user"])
@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (b"HOMEBREW_CACHE=/\xff\n", "not UTF-8 at byte 16"),
        (b"\xff\xfeH\0O\0", "not UTF-8 at byte 0"),
        (b"#" * (MAX_ENV_FILE_BYTES + 1), "longer than the limit"),
    ],
)
def test_a_file_that_is_no_text_or_too_long_is_refused(
    root: Path, which: str, raw: bytes, cause: str
) -> None:
    path = write(root, which)
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=cause) as caught:
        read(root)
    assert caught.value.thing == str(path)


@pytest.mark.parametrize("which", ["system", "prefix", "user"])
def test_a_file_that_cannot_be_opened_or_is_none_is_passed_over(
    root: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    path = write(root, which, api("file"))
    path.unlink()
    path.mkdir()
    assert read(root).api_domain is None
    path.rmdir()
    os.mkfifo(path)
    assert read(root).api_domain is None
    path.unlink()
    write(root, which, api("file"))

    def refuse(path: Path, limit: int) -> bytes:
        raise PermissionError(path)

    monkeypatch.setattr(brewenv, "read_bounded", refuse)
    assert read(root).api_domain is None


def test_brew_is_followed_to_its_checkout(root: Path) -> None:
    checkout = root / "elsewhere" / "Homebrew"
    (checkout / "bin").mkdir(parents=True)
    (root / "prefix/bin").mkdir()
    (root / "prefix/bin/brew").symlink_to("../../elsewhere/Homebrew/bin/brew")
    found = read(root)
    assert found.repository == checkout.resolve()
    assert found.cellar == root / "prefix/Cellar"
    (checkout / "Cellar").mkdir()
    (root / "prefix/Cellar").mkdir()
    assert read(root).cellar == checkout.resolve() / "Cellar"


def test_a_brew_that_is_no_symlink_is_in_its_own_checkout(root: Path) -> None:
    (root / "prefix/bin").mkdir()
    (root / "prefix/bin/brew").touch()
    assert read(root, system="Linux").repository == root / "prefix"


def test_without_a_brew_the_checkout_is_where_the_installer_puts_it(root: Path) -> None:
    assert read(root, system="Linux").repository == root / "prefix/Homebrew"
    assert read(root, system="Darwin", machine="x86_64").repository == root / "prefix/Homebrew"
    assert read(root).repository == root / "prefix"


def test_a_brew_that_leads_in_circles_or_cannot_be_looked_at_is_none(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "prefix/bin").mkdir()
    (root / "prefix/bin/loop").symlink_to("loop")
    (root / "prefix/bin/brew").symlink_to("loop/brew")
    assert isinstance(read(root).repository, Path)

    def refuse(path: Path) -> bool:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "is_symlink", refuse)
    monkeypatch.setattr(Path, "is_dir", refuse)
    found = read(root, system="Linux")
    assert found.repository == root / "prefix/Homebrew"
    assert found.cellar == root / "prefix/Cellar"


@pytest.mark.parametrize(
    ("value", "without"),
    [("1", True), ("true", True), ("no", True), ("0", False), ("", False), (None, False)],
)
def test_no_color_means_what_it_means_to_brew(root: Path, value: str | None, without: bool) -> None:
    assert read(root, {} if value is None else {"NO_COLOR": value}).no_color is without


@given(st.dictionaries(st.sampled_from(["HOMEBREW_API_DOMAIN", "GH_TOKEN", "HOMEBREW_CACHE"]), st.text()))
def test_any_environment_is_read_or_refused(environ: dict[str, str]) -> None:
    try:
        found = read_environment(environ, home=Path("/nowhere"), system="Linux", machine="x86_64")
    except UsageError as error:
        assert error.thing.endswith("in the environment")
    else:
        assert found.api_domain is None or found.api_domain.startswith(("https://", "http://"))
        assert found.cache.is_absolute()


@given(st.binary(max_size=200))
def test_any_env_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".homebrew").mkdir()
    (home / ".homebrew/brew.env").write_bytes(b"HOMEBREW_CACHE=/x\n" + raw + b"\n")
    try:
        found = read_environment({}, home=home, system="Linux", machine="x86_64")
    except UsageError as error:
        assert "brew.env" in error.thing
    else:
        assert found.cache.is_absolute()
