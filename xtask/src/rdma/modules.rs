//! Which modules of a kernel need which others. `depmod` would tell, but comes with a package of its own.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The files of `wanted` and of all that they need, each after those that it needs itself.
pub(super) fn in_order_of_need(folder: &Path, wanted: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut modules = HashMap::new();
    find(folder, &mut modules)?;
    let mut order = Order { modules, seen: HashSet::new(), files: Vec::new() };
    for name in wanted {
        order.add(name)?;
    }
    Ok(order.files)
}

struct Order {
    modules: HashMap<String, PathBuf>,
    seen: HashSet<String>,
    files: Vec<PathBuf>,
}

impl Order {
    fn add(&mut self, name: &str) -> anyhow::Result<()> {
        if !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(file) = self.modules.get(name).cloned() else {
            bail!("the kernel has no module {name}");
        };
        let content = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        for needed in needed_by(&content) {
            self.add(&needed)?;
        }
        self.files.push(file);
        Ok(())
    }
}

/// Adds the modules in `folder`, by the names that others call them.
fn find(folder: &Path, modules: &mut HashMap<String, PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let (kind, path) = entry.and_then(|entry| Ok((entry.file_type()?, entry.path())))?;
        if kind.is_dir() {
            find(&path, modules)?;
        } else if let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".ko")) {
            modules.insert(name.replace('-', "_"), path);
        }
    }
    Ok(())
}

/// The names after `depends=` in the module's own description, where each entry ends with a zero.
fn needed_by(module: &[u8]) -> Vec<String> {
    let entries = module.split(|byte| *byte == 0);
    let names = entries.filter_map(|entry| entry.strip_prefix(b"depends="));
    let names = names.filter_map(|names| std::str::from_utf8(names).ok());
    names.flat_map(|names| names.split(',')).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::needed_by;

    #[test]
    fn needs_are_read_from_a_module() {
        let module = b"\x7fELF\0license=GPL\0depends=ib_core,udp_tunnel\0retpoline=Y\0";
        assert_eq!(needed_by(module), ["ib_core", "udp_tunnel"]);
        assert_eq!(needed_by(b"license=GPL\0depends=\0"), [""; 0]);
    }
}
