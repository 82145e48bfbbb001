# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules that hold for the collection as a whole."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MODULES = sorted(ROOT.glob("plugins/modules/*.py"))
ON_SERVERS = MODULES + sorted(ROOT.glob("plugins/module_utils/**/*.py"))
COLLECTION = "ansible_collections.mailops.imap.plugins"


def imported(path: Path) -> set[str]:
    """Absolute names of the modules that a file imports at any level."""
    package = f"{COLLECTION}." + ".".join(path.relative_to(ROOT / "plugins").parts[:-1])
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = package.split(".")[:len(package.split(".")) - node.level + 1]
            names.add(".".join(base + ([node.module] if node.module else [])))
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    return names


def documentation(path: Path) -> dict:
    """What a module says about itself in DOCUMENTATION."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "DOCUMENTATION":
            return yaml.safe_load(node.value.value)
    raise AssertionError(f"{path} has no DOCUMENTATION")


def test_what_is_generated_is_up_to_date():
    """``make generate`` writes it anew."""
    specification = importlib.util.spec_from_file_location("write_generated", ROOT / "tests/ci/write_generated.py")
    write_generated = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(write_generated)
    for name, content in write_generated.generated(ROOT).items():
        assert (ROOT / name).read_text() == content, name


PAGES = [path for pattern in ("*.md", "roles/*/README.md", "tests/*/README.md") for path in sorted(ROOT.glob(pattern))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_leads_to_is_there(path):
    page = path.read_text()
    links = {target for target in re.findall(r"\]\(([^)#\s]+)", page) if not re.match("[a-z]+:", target)}
    schemas = set(re.findall(r"\$schema=\S*/ansible_collections/mailops/imap/(\S+)", page))
    missing = {target for target in links if not (path.parent / target).exists()}
    assert missing | {target for target in schemas if not (ROOT / target).exists()} == set()


def examples(page, heading):
    """What stands in the blocks of code below a heading of a page."""
    (part,) = [part for part in page.read_text().split("\n## ") if part.startswith(f"{heading}\n")]
    return [block.strip() for block in re.findall(r"```(?:text|yaml)\n(.*?)```", part, re.DOTALL)]


def said_in(name):
    """What a file of a scenario says, without the comments at its beginning."""
    path = ROOT / "extensions/molecule" / name
    return "".join(line for line in path.open() if not line.startswith(("#", "---"))).strip()


def test_the_way_to_measure_is_the_one_that_is_tested():
    assert examples(ROOT / "README.md", "Measure it yourself") == [said_in("chain_dovecot/measure.yml")]


def test_the_way_to_put_a_front_before_a_dovecot_is_the_one_that_is_tested():
    text, play = examples(ROOT / "roles/imap_proxy/README.md", "Before a Dovecot on the same host")
    assert text == said_in("proxy_same_host/files/behind-a-front-2.3.conf")
    assert play == said_in("proxy_same_host/converge.yml")
    newer = text.replace("    address =", "    listen =").replace("disable_plaintext_auth = no", "auth_allow_cleartext = yes")
    assert newer == said_in("proxy_same_host/files/behind-a-front-2.4.conf")


def test_the_action_group_has_the_modules_that_share_options():
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    sharing = [
        path.stem for path in MODULES
        if "mailops.imap.settings.server_type" in documentation(path)["extends_documentation_fragment"]
    ]  # fmt: skip
    assert groups == {"imap": sharing} and len(sharing) == 3


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_documents_the_action_group_that_it_is_in(path):
    fragments = set(documentation(path)["extends_documentation_fragment"])
    assert "mailops.imap.attributes" in fragments
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    assert ("mailops.imap.attributes.actiongroup_imap" in fragments) is (path.stem in groups["imap"])


@pytest.mark.parametrize("path", ON_SERVERS, ids=lambda path: str(path.relative_to(ROOT / "plugins")))
def test_servers_need_nothing_but_the_standard_library(path):
    allowed = (f"{COLLECTION}.module_utils", "ansible.module_utils")
    foreign = {
        name for name in imported(path)
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith(allowed)
    }
    assert foreign == set()


@pytest.mark.parametrize("path", sorted(ROOT.glob("plugins/module_utils/**/*.py")), ids=lambda path: path.name)
def test_module_utils_are_private(path):
    assert any(part.startswith("_") for part in path.relative_to(ROOT / "plugins/module_utils").parts)
