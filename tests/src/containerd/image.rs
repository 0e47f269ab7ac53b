//! A container image made of a few files.

use std::{path::Path, process::Command};

use anyhow::Result;

use super::run;

/// Writes an archive as `docker save` does: a manifest, a configuration, and one layer, which the configuration names by
/// its digest.
const PROGRAM: &str = r#"
import hashlib, io, json, platform, sys, tarfile

def archive(file, members):
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))

out, name, *files = sys.argv[1:]
layer = io.BytesIO()
archive(layer, [(path, open(source, "rb").read()) for path, source in zip(files[::2], files[1::2])])
layer = layer.getvalue()
architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
configuration = {"architecture": architecture, "os": "linux", "config": {"Entrypoint": ["/" + files[0]]},
                 "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}
manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
archive(open(out, "wb"), [("manifest.json", json.dumps(manifest).encode()),
                          ("config.json", json.dumps(configuration).encode()), ("layer.tar", layer)])
"#;

/// Writes an image with these files, each a path inside of it and one outside. The first is what it starts by default.
pub fn write(archive: &Path, name: &str, files: &[(&str, &Path)]) -> Result<()> {
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", PROGRAM]).arg(archive).arg(name);
    for (inside, outside) in files {
        python.arg(inside).arg(outside);
    }
    run(python)
}
