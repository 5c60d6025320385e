import json
from tests.unit.attest.releases import *
from tests.unit.attest.test_preparing import ALL, merge, failures
def test_tag(tmp_path):
    release = Release(tmp_path)
    merge(release)
    release.edit(lambda record: record["bottle"].update(tag="x"*3000))
    print(failures(release))
def test_tag2(tmp_path):
    release = Release(tmp_path)
    merge(release)
    (tmp_path/"outside.bottle.json").write_text("{}")
    (release.folder/"foo--1.1.x").mkdir()
    release.edit(lambda record: record["bottle"].update(tag="x/../../outside"))
    print(failures(release))
def test_rebuild(tmp_path):
    release = Release(tmp_path)
    n=10**20
    for p in sorted(release.folder.iterdir()): print(p.name)
    old = release.folder/FOO
    new = release.folder/f"foo--1.1.x86_64_linux.bottle.{n}.tar.gz"
    old.rename(new)
    js = release.folder/"foo--1.1.x86_64_linux.bottle.json"
    d = json.loads(js.read_bytes()); print(d)
    k=list(d)[0]; d[k]["bottle"]["rebuild"]=n
    t=d[k]["bottle"]["tags"]["x86_64_linux"]; t["local_filename"]=new.name; t["filename"]=new.name
    js.write_text(json.dumps(d)); (release.folder/RECORD).unlink()
    release.record()
    prepared = release.prepare()
    print(prepared.items[0].name)
    print(release.attest())
