"""The commands of docs/team.md work as written, against a bucket on this machine."""

import re
import shutil
from types import SimpleNamespace

import boto3
import pytest
from moto.server import ThreadedMotoServer
from synthetic import REPO

pytestmark = pytest.mark.pipeline
PAGE = (REPO / "docs/team.md").read_text()
SHARE, CLONE, MERGE = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
(KEYS,) = re.findall(r"^export .*\n", SHARE, re.MULTILINE)
ENDPOINT, ORIGIN = "https://s3.example.org", "git@example.org:us/portrait18.git"


@pytest.fixture(scope="module")
def bucket():
    """Address of an S3 server that holds the documented bucket, empty."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
    (name,) = re.findall(r"s3://([\w-]+)/", SHARE)
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket=name)
    yield address
    server.stop()


@pytest.fixture(scope="module")
def shell(finished, bucket, tmp_path_factory):
    """shell(folder, commands) runs commands; shell.origin is the team's git repository."""
    home = tmp_path_factory.mktemp("home")  # with nobody's keys and nobody's git settings
    origin = tmp_path_factory.mktemp("team") / "portrait18.git"
    env = {"HOME": str(home), "NO_PROXY": "127.0.0.1", "AWS_EC2_METADATA_DISABLED": "true"}
    for who in ("AUTHOR", "COMMITTER"):
        env.update({f"GIT_{who}_NAME": "test", f"GIT_{who}_EMAIL": "test@example.org"})

    def run(folder, commands, check=True):
        commands = commands.replace(ENDPOINT, bucket).replace(ORIGIN, f"'{origin}'")
        return type(finished)(folder).run("bash", "-ec", commands, check=check, **env)

    run.origin = origin
    return run


@pytest.fixture(scope="module")
def team(finished, shell, tmp_path_factory):
    """Two clones: `first` shared the finished project, `second` pulled it; and its output."""
    project = type(finished)
    first = project(tmp_path_factory.mktemp("first") / "portrait18")
    shutil.copytree(finished.root, first.root, symlinks=True)
    (first.root / "data/demo").rename(first.root / "data/competition")
    first.set_params({"data": {"root": "data/competition"}})
    # The same photos at another place: what the stages would write is there already.
    shell(
        first.root,
        "dvc commit --force --quiet && git add --all && git commit --quiet --message mine",
    )
    shell(
        first.root,
        f"git clone --quiet --bare . '{shell.origin}' && git remote add origin '{shell.origin}'",
    )
    shell(first.root, "git push --quiet --set-upstream origin HEAD")
    assert "Running stage" not in shell(first.root, SHARE)

    home = tmp_path_factory.mktemp("second")
    said = shell(home, KEYS + CLONE)
    return SimpleNamespace(first=first, second=project(home / "portrait18"), said=said)


def test_a_second_clone_has_all_and_nothing_to_do(team):
    (promised,) = re.findall(r"^dvc repro +# (.*)", CLONE, re.MULTILINE)
    assert promised in team.said.splitlines()
    assert "Running stage" not in team.said
    assert team.second.lock() == team.first.lock()
    for name in (
        "data/submission.csv",
        "models/trained/mask/0-0.safetensors",
        "reports/contact_sheets/train.png",
    ):
        assert (team.second.root / name).read_bytes() == (team.first.root / name).read_bytes()
    mine, theirs = (
        sorted((clone.root / "data/competition").rglob("*.jpg"))
        for clone in (team.first, team.second)
    )
    assert len(mine) == 12 * 7 + 10
    assert [p.read_bytes() for p in mine] == [p.read_bytes() for p in theirs]


def test_photos_and_crops_may_be_missing_where_nothing_has_to_run(team, tmp_path):
    shutil.copytree(team.second.root, tmp_path / "copy", symlinks=True)
    clone = type(team.second)(tmp_path / "copy")
    for folder in ("data/competition", "data/crops", ".dvc/cache"):
        shutil.rmtree(clone.root / folder)
    assert clone.repro("--allow-missing") == []
    assert "Data and pipelines are up to date" in clone.run("dvc", "repro", "--allow-missing")


def test_networks_and_bundle_can_be_pulled_alone(team, shell, tmp_path):
    *pulls, repro = re.findall(r"`(dvc (?:pull|repro) [^`]+)`", PAGE)
    clone, root = CLONE.splitlines()[0], tmp_path / "portrait18"
    shell(tmp_path, KEYS + clone)
    for pull, folder in zip(pulls, ("models/trained", "models/bundle"), strict=True):
        assert not (root / folder).exists()
        shell(root, KEYS + pull)
        theirs = [path for path in (team.first.root / folder).rglob("*") if path.is_file()]
        assert theirs
        assert all(
            (root / p.relative_to(team.first.root)).read_bytes() == p.read_bytes() for p in theirs
        )
    assert not (root / "data/crops/train.npy").exists()
    said = shell(root, repro)
    assert "Running stage" not in said
    assert "Data and pipelines are up to date" in said


def test_one_model_comes_without_a_clone(team, shell, tmp_path):
    (get,) = re.findall(r"`(dvc get [^`]+)`", PAGE)
    shell(tmp_path, KEYS + get)
    name = get.rsplit(" ", 1)[1]
    assert (tmp_path / name.rsplit("/", 1)[1]).read_bytes() == (team.first.root / name).read_bytes()


def test_the_newest_release_comes_without_a_clone(team, shell, tmp_path):
    (release,), (get,) = (
        re.findall(rf"`({command} [^`]+)`", PAGE) for command in ("git tag", "dvc artifacts")
    )
    shell(team.first.root, release)
    shell(tmp_path, KEYS + get)
    theirs = list((team.first.root / "models/bundle").iterdir())
    assert theirs
    assert all((tmp_path / "bundle" / p.name).read_bytes() == p.read_bytes() for p in theirs)


def test_a_lock_in_conflict_is_repaired_without_computing_anything_twice(team, shell, stages_of):
    mine, theirs = team.first, team.second
    send = "\n".join(MERGE.splitlines()[-2:])
    theirs.set_params({"train": {"mask": {"lr": 0.005}}})
    assert theirs.repro("evaluate") == [
        "train@mask-0-0",
        "predict@mask",
        "ensemble",
        "evaluate",
    ]
    shell(theirs.root, KEYS + "git commit --quiet --all --message theirs\n" + send)
    mine.set_params({"ensemble": {"weights": "equal"}})
    assert mine.repro("evaluate") == ["ensemble", "evaluate"]
    shell(mine.root, "git commit --quiet --all --message mine")

    pull, rest = MERGE.split("\n", 1)
    assert pull.split("# ")[1] in shell(mine.root, pull, check=False).splitlines()
    output = shell(mine.root, KEYS + rest)
    assert "Stage 'train@mask-0-0' is cached - skipping run" in output
    follow = {
        "explain",
        "ensemble",
        "evaluate",
        "export",
        "audit",
        "submit",
        "score",
        "report",
    }
    assert set(stages_of(output)) <= follow
    assert stages_of(output)[0] == "ensemble", "neither had both changes"
    assert mine.lock()["train@mask-0-0"] == theirs.lock()["train@mask-0-0"]

    shell(theirs.root, KEYS + "git pull --quiet --no-rebase && dvc pull")
    assert theirs.repro() == []
    assert theirs.lock() == mine.lock()
    params = (mine.root / "params.yaml").read_text()
    assert params == (theirs.root / "params.yaml").read_text()
    assert "weights: equal" in params
