//! Reads that take many names in one call, and fail for all if one of them is not there.

use super::kind::{each, if_there};
use crate::resource::Fault;

/// Reads so many at a time; a batch with one that is not there is read one by one.
pub async fn in_batches<T, Read>(
    names: Vec<String>,
    size: usize,
    read: impl Fn(Vec<String>) -> Read,
) -> Result<Vec<T>, Fault>
where
    Read: Future<Output = Result<Vec<T>, Fault>>,
{
    let mut all = vec![];
    for batch in names.chunks(size) {
        match if_there(read(batch.to_vec()).await)? {
            Some(found) => all.extend(found),
            None if batch.len() == 1 => {}
            None => {
                let alone = |name: String| {
                    let read = read(vec![name]);
                    async move { if_there(read.await) }
                };
                all.extend(each(batch.to_vec(), alone).await?.into_iter().flatten());
            }
        }
    }
    Ok(all)
}
