//! Files that the loader takes, and all that these need in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use super::copy;
use super::gstreamer::GStreamer;
use crate::shell::{self, output_of, run};

/// The host's own: glibc, which belongs to its loader and its name services.
const GLIBC: &[&str] = &[
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "libBrokenLocale.so.1",
    "libanl.so.1",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libmvec.so.1",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libutil.so.1",
];

/// The host's own, too, by the beginnings of their names: drivers of GPUs, CUDA, and drivers of network cards. Where these are
/// not, only what needs them is missing.
const OF_HARDWARE: &[&str] = &[
    "libcuda.so",
    "libnvidia-",
    "libnvcuvid.so",
    "libnpp",
    "libibverbs.so",
    "librdmacm.so",
    "libmlx5.so",
    "libnl-",
];

/// What was put into a bundle so far.
pub(super) struct Libraries {
    /// Where newer libraries are than the system's.
    search: Vec<PathBuf>,
    newer: Option<PathBuf>,
    /// Each file's place in the bundle, and where it comes from.
    files: BTreeMap<PathBuf, PathBuf>,
}

impl Libraries {
    pub(super) fn new(gstreamer: &GStreamer) -> Self {
        Self {
            search: gstreamer.library_folders(),
            newer: gstreamer.root().map(Path::to_owned),
            files: BTreeMap::new(),
        }
    }

    /// Copies `file`, not as a link, into `folder`; where it is now.
    pub(super) fn put(&mut self, file: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
        let name = file.file_name().with_context(|| format!("{} has no name", file.display()))?;
        let place = folder.join(name);
        copy(file, &place)?;
        self.files.insert(place.clone(), file.to_owned());
        Ok(place)
    }

    /// The same with a file that was built with what only debuggers need, which stays behind.
    pub(super) fn put_ours(&mut self, file: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
        let place = self.put(file, folder)?;
        run(Command::new("strip").arg("--strip-unneeded").arg(&place))?;
        Ok(place)
    }

    /// Adds what the files need and is not there yet, in `folder`.
    pub(super) fn complete(&mut self, folder: &Path) -> anyhow::Result<()> {
        let there: BTreeSet<_> = self.files.keys().filter_map(|file| name(file)).collect();
        let mut folders: Vec<_> =
            self.files.keys().filter_map(|file| file.parent()).map(Path::to_owned).collect();
        folders.dedup();
        let search: Vec<_> = folders.iter().chain(&self.search).cloned().collect();
        let told = self.needs(&search)?;
        ensure!(told.contains("libc.so"), "the loader tells nothing of the files in {}", folder.display());
        let (mut found, mut missing) = (BTreeSet::new(), BTreeSet::new());
        for line in told.lines() {
            let Some((library, place)) = line.trim().split_once(" => ") else { continue };
            let is_of = |names: &[&str]| names.iter().any(|name| library.starts_with(name));
            if GLIBC.contains(&library) || there.contains(library) || is_of(OF_HARDWARE) {
                continue;
            }
            match place.split(" (").next() {
                // It may be there by another name, as a link.
                Some(place) if folders.iter().any(|folder| Path::new(place).starts_with(folder)) => true,
                Some(place) if place.starts_with('/') => found.insert(PathBuf::from(place)),
                _ => missing.insert(library.to_owned()),
            };
        }
        if !missing.is_empty() {
            bail!("libraries are missing here: {}", missing.into_iter().collect::<Vec<_>>().join(", "));
        }
        for library in found {
            self.put(&library, folder)?;
        }
        Ok(())
    }

    /// What the loader says that the files need, and where it finds that.
    fn needs(&self, search: &[PathBuf]) -> anyhow::Result<String> {
        let path = join(search)?;
        let Some(root) = &self.newer else {
            let mut ldd = Command::new("ldd");
            ldd.args(self.files.keys()).env("LD_LIBRARY_PATH", path).env("LC_ALL", "C");
            return output_of(&mut ldd).context("`ldd` does not start");
        };
        // The newer system's own: this one's loader, and the shell that `ldd` is, do not go with its glibc.
        let loader = ["usr/lib64/ld-linux-x86-64.so.2", "usr/lib/ld-linux-aarch64.so.1"];
        let loader = loader.iter().map(|loader| root.join(loader)).find(|loader| loader.exists());
        let loader = loader.with_context(|| format!("no loader in {}", root.display()))?;
        let mut told = String::new();
        for file in self.files.keys() {
            let mut list = Command::new(&loader);
            list.arg("--library-path").arg(&path).arg("--list").arg(file);
            told += &output_of(&mut list).with_context(|| format!("{} does not start", loader.display()))?;
        }
        Ok(told)
    }

    /// For each Debian package that a file comes from, its copyright and licence, in a file of its name and release.
    pub(super) fn licences(&self, folder: &Path) -> anyhow::Result<()> {
        let mut packages = BTreeSet::new();
        let of_system =
            self.files.values().filter(|file| file.starts_with("/usr") || file.starts_with("/lib"));
        let mut query = Command::new("dpkg-query");
        query.arg("--search").args(of_system.flat_map(|file| as_packaged(file)));
        // Where there is no dpkg, licences are for the user to find.
        for line in output_of(&mut query).unwrap_or_default().lines() {
            let Some((owner, _)) = line.split_once(": ") else { continue };
            packages.extend(
                owner.split(", ").map(|package| package.split(':').next().unwrap_or(package).to_owned()),
            );
        }
        let documents = |root: &Path| root.join("usr/share/doc");
        for package in packages {
            self.licence(&documents(Path::new("/")), &package, folder)?;
        }
        if let Some(root) = &self.newer {
            for package in shell::entries(&documents(root))? {
                if let Some(package) = name(&package) {
                    self.licence(&documents(root), package, folder)?;
                }
            }
        }
        Ok(())
    }

    fn licence(&self, documents: &Path, package: &str, folder: &Path) -> anyhow::Result<()> {
        let file = documents.join(package).join("copyright");
        if file.exists() { copy(&file, &folder.join(package)) } else { Ok(()) }
    }
}

fn name(file: &Path) -> Option<&str> {
    file.file_name()?.to_str()
}

/// The names under which a package may know the file: as it is found, as it really is, and from before `/lib` was a link.
fn as_packaged(file: &Path) -> BTreeSet<PathBuf> {
    let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let both = [file.to_owned(), real];
    let without_usr =
        both.iter().filter_map(|file| Some(Path::new("/").join(file.strip_prefix("/usr").ok()?)));
    without_usr.collect::<Vec<_>>().into_iter().chain(both.clone()).collect()
}

fn join(folders: &[PathBuf]) -> anyhow::Result<OsString> {
    std::env::join_paths(folders).context("a folder's name has a colon")
}

/// The release of glibc that the files in a folder need.
pub(super) fn glibc_needed(folder: &Path) -> anyhow::Result<String> {
    let mut newest = (0, 0);
    let mut folders = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in shell::entries(&folder)? {
            if entry.is_dir() { folders.push(entry) } else { files.push(entry) }
        }
    }
    let told =
        output_of(Command::new("objdump").arg("-p").args(files)).context("`objdump` does not start")?;
    for word in told.split_whitespace() {
        if let Some(release) = release_of(word) {
            newest = newest.max(release);
        }
    }
    Ok(format!("{}.{}", newest.0, newest.1))
}

/// Of `GLIBC_2.36`.
fn release_of(word: &str) -> Option<(u32, u32)> {
    let mut numbers = word.strip_prefix("GLIBC_")?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// glibc's files in the folders of libraries, and the loader, as programs name it.
pub(super) fn of_glibc(file: &Path) -> bool {
    name(file).is_some_and(|name| GLIBC.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_numbers() {
        assert_eq!(release_of("GLIBC_2.36"), Some((2, 36)));
        assert_eq!(release_of("GLIBC_2.2.5"), Some((2, 2)));
        assert_eq!(release_of("GLIBC_PRIVATE"), None);
        assert_eq!(release_of("GLIBCXX_3.4"), None);
    }

    #[test]
    fn a_file_is_looked_for_under_its_old_name() {
        let names = as_packaged(Path::new("/usr/lib/nowhere.so"));
        assert!(names.contains(Path::new("/lib/nowhere.so")), "{names:?}");
    }
}
