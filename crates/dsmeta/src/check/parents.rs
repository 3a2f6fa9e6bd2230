//! Objects that are parts of objects.

use crate::Error;
use crate::model::Object;

/// Every parent is there, and nothing is a part of itself, however far around.
pub(super) fn check(objects: &[Object]) -> Result<(), Error> {
    if objects.iter().all(|object| object.parent.is_none()) {
        return Ok(());
    }
    let count = objects.len();
    // In which walk an object was first come by: each is walked over once.
    let mut walks: Vec<Option<usize>> = vec![None; count];
    for walk in 0..count {
        let mut at = Some(walk);
        while let Some(object) = at {
            if object >= count {
                return Err(Error::NoSuchIndex { what: "the parent of an object", index: object, count });
            }
            match walks[object] {
                Some(before) if before == walk => return Err(Error::ParentCycle { object }),
                Some(_) => break,
                None => walks[object] = Some(walk),
            }
            at = objects[object].parent;
        }
    }
    Ok(())
}
