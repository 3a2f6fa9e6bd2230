//! What must be true after an example has run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::examples::{self, Check};
use crate::shell::{Workspace, output_of};
use crate::side::{Line, Side};

/// What the checks need to run `pipe-side` themselves.
pub(crate) struct Checker<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) program: &'a Path,
    pub(crate) environment: &'a [(&'static str, PathBuf)],
}

impl Checker<'_> {
    pub(crate) fn check(&self, check: &Check, sides: &[Side]) -> anyhow::Result<()> {
        match check {
            Check::Decodes(file) => {
                let (expected, decoded) = (sides[0].frames(), self.decoded_frames(file)?);
                ensure!(
                    decoded == expected,
                    "{} decodes to {decoded} pictures, but {expected} were sent",
                    self.shown(file)
                );
                println!("  ok         {} decodes to {decoded} pictures", self.shown(file));
            }
            Check::DecodesLike(original, file) => {
                let (expected, decoded) = (self.decoded_frames(original)?, self.decoded_frames(file)?);
                ensure!(
                    decoded == expected && decoded > 0,
                    "{} decodes to {decoded} pictures, {} to {expected}",
                    self.shown(file),
                    self.shown(original)
                );
                println!(
                    "  ok         {} decodes to {decoded} pictures, as the input does",
                    self.shown(file)
                );
            }
            Check::Same(sent, received) => {
                self.same(sent, received)?;
                println!("  ok         {} is, byte for byte, {}", self.shown(received), self.shown(sent));
            }
            Check::Payloads => payloads(sides)?,
            Check::SameMetadata(sent, received, what) => {
                let empty = sent.metadata().is_ok_and(|sent| sent.len() == 0);
                ensure!(!empty, "there were no {what} to be sent: is there nothing to find in the input?");
                let list = self.same(sent, received)?;
                let list = String::from_utf8_lossy(&list);
                let buffers = list.lines().filter_map(|line| line.split(' ').next()).collect::<BTreeSet<_>>();
                let (count, buffers, all) = (list.lines().count(), buffers.len(), sides[0].frames());
                println!(
                    "  ok         {count} {what} on {buffers} of {all} buffers, exactly as sent ({})",
                    self.shown(received)
                );
            }
            Check::Sheet(file, sheet) => {
                self.frames(&["--sheet", &sheet.to_string_lossy(), &examples::small_pictures(file)])
                    .with_context(|| {
                        format!("{} cannot be made of {}", self.shown(sheet), self.shown(file))
                    })?;
                println!("  pictures   {}", self.shown(sheet));
            }
        }
        Ok(())
    }

    /// Both files' content.
    fn same(&self, sent: &Path, received: &Path) -> anyhow::Result<Vec<u8>> {
        let read =
            |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let (before, after) = (read(sent)?, read(received)?);
        ensure!(!before.is_empty(), "{} is empty", self.shown(sent));
        ensure!(before == after, "{} and {} differ", self.shown(sent), self.shown(received));
        Ok(after)
    }

    fn decoded_frames(&self, file: &Path) -> anyhow::Result<u64> {
        self.frames(&[&examples::decoder(file)])
            .with_context(|| format!("{} cannot be decoded to its end", self.shown(file)))
    }

    /// Runs `pipe-side` to its end: how many buffers it saw.
    fn frames(&self, arguments: &[&str]) -> anyhow::Result<u64> {
        let mut command = Command::new(self.program);
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output =
            output_of(&mut command).with_context(|| format!("{} does not start", self.program.display()))?;
        let done = output.lines().map(Line::parse).find(|line| line.word == "done");
        done.and_then(|done| done.count("frames")).context("it did not come to its end")
    }

    fn shown(&self, path: &Path) -> String {
        self.workspace.shown(path)
    }
}

/// Every buffer had a payload when it left and when it came, and no regions that would make it needless.
fn payloads(sides: &[Side]) -> anyhow::Result<()> {
    for side in sides {
        let count = |key| side.done.as_ref().and_then(|done| done.count(key)).unwrap_or(0);
        let (payloads, regions, frames) = (count("payloads"), count("regions"), side.frames());
        let label = side.label;
        ensure!(payloads == frames, "{payloads} of {frames} buffers had a payload at the {label}");
        ensure!(regions == 0, "{regions} regions went beside the payloads, seen at the {label}");
    }
    println!(
        "  ok         every buffer crossed with a payload of nvdsmetainsert, none with regions of interest beside it"
    );
    Ok(())
}
