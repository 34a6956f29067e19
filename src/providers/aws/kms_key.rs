//! Names of KMS keys where AWS takes several and tells one back.

use crate::resource::Value;
use crate::resource::schema::Mistake;

/// An alias is answered with the key it stands for, and would look like another key for ever.
pub fn alias(path: &str, key: Option<&Value>) -> Option<Mistake> {
    let key = key?.as_str()?;
    (key.starts_with("alias/") || key.contains(":alias/")).then(|| Mistake {
        path: path.into(),
        what: "is an alias, which AWS does not tell back".into(),
        hint: Some("name the key by its ARN".into()),
    })
}
