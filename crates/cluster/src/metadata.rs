//! Namespaces, secondary indexes and UDF modules, by info commands.

use std::time::Duration;

use asbackup_codec::wire::ResultCode;
use asbackup_model::{IndexKind, IndexedType, SecondaryIndex, UdfModule};
use tokio::time::{Instant, sleep};

use crate::replies::{self, Build, ServerIndex};
use crate::{Cluster, Error, ErrorKind};

/// What became of an index that should be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexCreation {
    /// It is being built.
    Created,
    /// It was there already.
    Same,
    /// Another one of this name is there; it stays as it is.
    Conflict,
}

impl Cluster {
    /// Returns whether there is a namespace of that name.
    ///
    /// # Errors
    /// If no node answers.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn has_namespace(&self, namespace: &[u8]) -> Result<bool, Error> {
        let reply = self.command("namespaces").await?;
        Ok(reply.split(|&byte| byte == b';').any(|name| name == namespace))
    }

    /// Returns about how many records a namespace has: while partitions move, some are counted twice.
    ///
    /// # Errors
    /// If a node doesn't answer, or doesn't know the namespace or how often it is replicated.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn object_count(&self, namespace: &[u8]) -> Result<u64, Error> {
        let command = [b"namespace/", namespace].concat();
        let (mut objects, mut copies) = (0_u64, None);
        for node in self.nodes() {
            let reply = self.command_at(&node, &command).await?;
            let Some(count) = replies::statistic(&reply, "objects") else {
                let what = format!("no namespace {}", String::from_utf8_lossy(namespace));
                return Err(Error::new(ErrorKind::Namespace, what).at(node.name()));
            };
            objects += count;
            copies = copies.or(replies::statistic(&reply, "effective_replication_factor"));
        }
        one_of_each(objects, copies)
    }

    /// Returns about how many records a namespace has in these sets, like [`Self::object_count`].
    ///
    /// # Errors
    /// If a node doesn't answer, or doesn't know how often the namespace is replicated.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn object_count_in(&self, namespace: &[u8], sets: &[&[u8]]) -> Result<u64, Error> {
        let (mut objects, mut copies) = (0_u64, None);
        for node in self.nodes() {
            let reply = self.command_at(&node, [b"sets/", namespace].concat()).await?;
            objects += replies::objects_in_sets(&reply, sets);
            let reply = self.command_at(&node, [b"namespace/", namespace].concat()).await?;
            copies = copies.or(replies::statistic(&reply, "effective_replication_factor"));
        }
        one_of_each(objects, copies)
    }

    /// Returns the indexes of a namespace. What this version doesn't know is among them as it came.
    ///
    /// # Errors
    /// If no node answers, or there is no such namespace.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn indexes(&self, namespace: &[u8]) -> Result<Vec<ServerIndex>, Error> {
        Ok(replies::indexes(&self.command(list_command(namespace, self.build())).await?))
    }

    /// Creates an index unless it is there. It is built in the background, see [`Self::wait_for_index`].
    ///
    /// # Errors
    /// If no node answers, the server refuses, or a name holds a separator.
    ///
    /// # Cancel safety
    /// The index may have been created when this is dropped.
    pub async fn create_index(&self, index: &SecondaryIndex) -> Result<IndexCreation, Error> {
        let command = create_command(index, self.build())?;
        let found = self.find_index(index).await?;
        self.create_unless(found, command).await
    }

    /// Returns what [`Self::create_index`] would find: none if no index has that name.
    ///
    /// # Errors
    /// If no node answers.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn find_index(&self, index: &SecondaryIndex) -> Result<Option<IndexCreation>, Error> {
        let listed = self.indexes(&index.namespace).await?;
        Ok(listed.iter().find_map(|known| match known {
            ServerIndex::Secondary(known) if known == index => Some(IndexCreation::Same),
            ServerIndex::Secondary(known) if known.name == index.name => Some(IndexCreation::Conflict),
            ServerIndex::Set { name, .. } if *name == index.name => Some(IndexCreation::Conflict),
            _ => None,
        }))
    }

    /// Drops an index of whatever kind, and waits until no node lists it. One that isn't there counts as dropped.
    ///
    /// # Errors
    /// If no node answers, the server refuses, a name holds a separator, or it takes longer than `longest`.
    ///
    /// # Cancel safety
    /// The index may have been dropped when this is dropped.
    pub async fn drop_index(&self, namespace: &[u8], name: &[u8], longest: Duration) -> Result<(), Error> {
        let build = self.build();
        self.command(drop_command(namespace, name, build)?).await?;
        self.wait_for(longest, &list_command(namespace, build), "index is still listed", |reply| {
            !replies::indexes(reply).iter().any(|index| index.name() == Some(name))
        })
        .await
    }

    /// Returns whether the cluster knows indexes over the members of a set.
    #[must_use]
    pub fn knows_set_indexes(&self) -> bool {
        self.build() >= Build::SET_INDEXES
    }

    /// Creates an index over the members of a set unless it is there. It is built in the background, see
    /// [`Self::wait_for_index`]. Only where [`Self::knows_set_indexes`].
    ///
    /// # Errors
    /// If no node answers, the server refuses, or a name holds a separator.
    ///
    /// # Cancel safety
    /// The index may have been created when this is dropped.
    pub async fn create_set_index(
        &self,
        namespace: &[u8],
        name: &[u8],
        set: &[u8],
    ) -> Result<IndexCreation, Error> {
        let command = create_set_command(namespace, name, set)?;
        let found = self.find_set_index(namespace, name, set).await?;
        self.create_unless(found, command).await
    }

    /// Returns what [`Self::create_set_index`] would find: none if no index has that name.
    ///
    /// # Errors
    /// If no node answers.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn find_set_index(
        &self,
        namespace: &[u8],
        name: &[u8],
        set: &[u8],
    ) -> Result<Option<IndexCreation>, Error> {
        let listed = self.indexes(namespace).await?;
        Ok(listed.iter().find_map(|known| match known {
            ServerIndex::Set { name: known, set: of, .. } if known == name && of == set => {
                Some(IndexCreation::Same)
            }
            ServerIndex::Set { name: known, .. } if known == name => Some(IndexCreation::Conflict),
            ServerIndex::Secondary(known) if known.name == name => Some(IndexCreation::Conflict),
            _ => None,
        }))
    }

    /// Sends the command that creates an index, unless one of its name was found.
    async fn create_unless(
        &self,
        found: Option<IndexCreation>,
        command: Vec<u8>,
    ) -> Result<IndexCreation, Error> {
        // The server says `ok` to a definition that is there already, and older ones call it a conflict.
        if let Some(creation) = found {
            return Ok(creation);
        }
        match self.command(command).await {
            Ok(_) => Ok(IndexCreation::Created),
            Err(error) if error.kind() == ErrorKind::Server(ResultCode::INDEX_EXISTS) => {
                Ok(IndexCreation::Conflict)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until all nodes have built an index.
    ///
    /// # Errors
    /// If a node fails, or it takes longer than `longest`.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn wait_for_index(
        &self,
        namespace: &[u8],
        name: &[u8],
        longest: Duration,
    ) -> Result<(), Error> {
        let command = if self.build() >= Build::NAMED_ARGUMENTS {
            [b"sindex-stat:namespace=", namespace, b";indexname=", name].concat()
        } else {
            [b"sindex/", namespace, b"/", name].concat()
        };
        self.wait_for(longest, &command, "index isn't built", |reply| {
            replies::statistic(reply, "load_pct") == Some(100)
        })
        .await
    }

    /// Returns the UDF modules of the cluster.
    ///
    /// # Errors
    /// If no node answers, or a module can't be read.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn udfs(&self) -> Result<Vec<UdfModule>, Error> {
        let mut modules = Vec::new();
        for name in replies::udf_names(&self.command("udf-list").await?)? {
            let reply = self.command([b"udf-get:filename=", &name[..]].concat()).await?;
            let content = replies::value_in(&reply, b';', b"content");
            let content = content.and_then(|text| base64_simd::STANDARD.decode_to_vec(text).ok());
            let content = content.ok_or_else(|| {
                let what = format!("UDF module {} without readable content", String::from_utf8_lossy(&name));
                Error::new(ErrorKind::Damaged, what)
            })?;
            modules.push(UdfModule { name, content });
        }
        Ok(modules)
    }

    /// Stores a UDF module, in place of one of the same name, and waits until all nodes list it.
    ///
    /// # Errors
    /// If the server refuses it, a node fails, or it takes longer than `longest`.
    ///
    /// # Cancel safety
    /// The module may have been stored when this is dropped.
    pub async fn put_udf(&self, module: &UdfModule, longest: Duration) -> Result<(), Error> {
        self.command(put_command(module)?).await?;
        self.wait_for(longest, b"udf-list", "UDF module isn't listed", |reply| {
            replies::udf_names(reply).is_ok_and(|names| names.contains(&module.name))
        })
        .await
    }

    /// Asks all nodes again and again until each has said what was waited for.
    async fn wait_for(
        &self,
        longest: Duration,
        command: &[u8],
        otherwise: &str,
        is_so: impl Fn(&[u8]) -> bool,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + longest;
        for node in self.nodes() {
            loop {
                match self.command_at(&node, command).await {
                    Ok(reply) if is_so(&reply) => break,
                    // It takes a moment until all nodes have heard of it.
                    Err(error) if error.kind() != ErrorKind::Server(ResultCode::INDEX_NOT_FOUND) => {
                        return Err(error);
                    }
                    _ => {}
                }
                if Instant::now() + POLL_INTERVAL > deadline {
                    let what = format!("{otherwise} after {longest:?}");
                    return Err(Error::new(ErrorKind::Timeout, what).at(node.name()));
                }
                sleep(POLL_INTERVAL).await;
            }
        }
        Ok(())
    }
}

/// Returns how many records there are if each has so many copies.
fn one_of_each(objects: u64, copies: Option<u64>) -> Result<u64, Error> {
    match copies {
        Some(copies @ 1..) => Ok(objects / copies),
        _ => Err(Error::new(ErrorKind::Damaged, "replication factor is missing or 0")),
    }
}

/// Returns the command that stores a UDF module.
fn put_command(module: &UdfModule) -> Result<Vec<u8>, Error> {
    let content = base64_simd::STANDARD.encode_to_string(&module.content);
    let mut command = b"udf-put:".to_vec();
    put(&mut command, "filename", &module.name)?;
    put(&mut command, "content", content.as_bytes())?;
    put(&mut command, "content-len", content.len().to_string().as_bytes())?;
    put(&mut command, "udf-type", b"LUA")?;
    Ok(command)
}

fn list_command(namespace: &[u8], build: Build) -> Vec<u8> {
    let suffix = if build >= Build::BASE64_CONTEXTS { ";b64=true" } else { "" };
    [b"sindex-list:", namespace_key(build).as_bytes(), b"=", namespace, suffix.as_bytes()].concat()
}

fn drop_command(namespace: &[u8], name: &[u8], build: Build) -> Result<Vec<u8>, Error> {
    let mut command = b"sindex-delete:".to_vec();
    put(&mut command, namespace_key(build), namespace)?;
    put(&mut command, "indexname", name)?;
    command.pop();
    Ok(command)
}

/// Returns the command that creates an index, in the words of that version.
fn create_command(index: &SecondaryIndex, build: Build) -> Result<Vec<u8>, Error> {
    let is_new = build >= Build::NAMED_ARGUMENTS;
    let mut command = b"sindex-create:".to_vec();
    put(&mut command, namespace_key(build), &index.namespace)?;
    if let Some(set) = &index.set {
        put(&mut command, "set", set)?;
    }
    put(&mut command, "indexname", &index.name)?;
    if let Some(context) = &index.context {
        put(&mut command, "context", context)?;
    }
    if let Some(expression) = &index.expression {
        put(&mut command, "exp", expression)?;
    }
    let part = match index.kind {
        IndexKind::Default => None,
        IndexKind::ListElements => Some("LIST"),
        IndexKind::MapKeys => Some("MAPKEYS"),
        IndexKind::MapValues => Some("MAPVALUES"),
    };
    if let Some(part) = part {
        put(&mut command, "indextype", part.as_bytes())?;
    }
    let indexed = match index.indexed {
        IndexedType::Numeric => "NUMERIC",
        IndexedType::String => "STRING",
        IndexedType::Blob => "BLOB",
        IndexedType::Geo2dSphere => "GEO2DSPHERE",
    };
    // An expression index has no bin.
    if index.expression.is_some() {
        put(&mut command, "type", indexed.as_bytes())?;
    } else if is_new {
        put(&mut command, "bin", &index.bin)?;
        put(&mut command, "type", indexed.as_bytes())?;
    } else {
        put(&mut command, "indexdata", &[&index.bin[..], b",", indexed.as_bytes()].concat())?;
    }
    command.pop();
    Ok(command)
}

/// Returns the command that creates an index over a set. Source: docs/format/manifest.md, "Side file".
fn create_set_command(namespace: &[u8], name: &[u8], set: &[u8]) -> Result<Vec<u8>, Error> {
    let mut command = b"sindex-create:".to_vec();
    put(&mut command, "namespace", namespace)?;
    put(&mut command, "indexname", name)?;
    put(&mut command, "set", set)?;
    put(&mut command, "indextype", b"set")?;
    command.pop();
    Ok(command)
}

/// Appends an argument and a separator.
fn put(command: &mut Vec<u8>, key: &str, value: &[u8]) -> Result<(), Error> {
    if value.iter().any(|byte| b";\n\t".contains(byte)) {
        let what = format!("{key} {:?} holds a separator of info commands", String::from_utf8_lossy(value));
        return Err(Error::new(ErrorKind::Input, what));
    }
    command.extend_from_slice(key.as_bytes());
    command.push(b'=');
    command.extend_from_slice(value);
    command.push(b';');
    Ok(())
}

fn namespace_key(build: Build) -> &'static str {
    if build >= Build::NAMED_ARGUMENTS { "namespace" } else { "ns" }
}

/// How long to wait before asking again: a moment for a person, and no load for a server.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> SecondaryIndex {
        SecondaryIndex {
            namespace: b"test".to_vec(),
            set: Some(b"demo".to_vec()),
            name: b"ix_num".to_vec(),
            kind: IndexKind::Default,
            bin: b"i".to_vec(),
            indexed: IndexedType::Numeric,
            context: None,
            expression: None,
        }
    }

    #[track_caller]
    fn check(index: &SecondaryIndex, build: [u16; 3], expected: &str) {
        let command = create_command(index, Build(build)).unwrap();
        assert_eq!(String::from_utf8(command).unwrap(), expected);
    }

    #[test]
    fn the_commands_are_the_recorded_ones() {
        let plain = "sindex-create:namespace=test;set=demo;indexname=ix_num;bin=i;type=NUMERIC";
        check(&index(), [8, 1, 0], plain);
        let expression = SecondaryIndex {
            name: b"ix_exp".to_vec(),
            bin: b"null".to_vec(),
            expression: Some(b"k1ECo2FnZQ==".to_vec()),
            ..index()
        };
        let recorded = "sindex-create:namespace=test;set=demo;indexname=ix_exp;exp=k1ECo2FnZQ==;type=NUMERIC";
        check(&expression, [8, 1, 1], recorded);
        let content = b"function f(r)\n return 1\nend\n".to_vec();
        let module = put_command(&UdfModule { name: b"spec_m.lua".to_vec(), content }).unwrap();
        for (name, expected) in
            [("sindex_plain", plain.as_bytes()), ("sindex_expr", recorded.as_bytes()), ("udf_put", &module)]
        {
            let path = format!("{}/../../testdata/wire/{name}.req.bin", env!("CARGO_MANIFEST_DIR"));
            let request = std::fs::read(path).unwrap();
            assert!(request[8..].starts_with(&[expected, b"\n"].concat()), "{name}");
        }
    }

    #[test]
    fn older_servers_have_other_words() {
        let list = SecondaryIndex {
            set: None,
            kind: IndexKind::ListElements,
            indexed: IndexedType::Geo2dSphere,
            context: Some(b"lBAA".to_vec()),
            ..index()
        };
        let expected =
            "sindex-create:ns=test;indexname=ix_num;context=lBAA;indextype=LIST;indexdata=i,GEO2DSPHERE";
        check(&list, [8, 0, 9], expected);
    }

    #[test]
    fn an_index_over_a_set_names_the_set_and_no_bin() {
        let command = create_set_command(b"test", b"ix", b"demo").unwrap();
        assert_eq!(command, b"sindex-create:namespace=test;indexname=ix;set=demo;indextype=set");
        assert_eq!(create_set_command(b"test", b"ix", b"a;b").unwrap_err().kind(), ErrorKind::Input);
    }

    #[test]
    fn each_kind_and_type_has_its_word() {
        for (kind, indexed, expected) in [
            (IndexKind::MapKeys, IndexedType::String, "indextype=MAPKEYS;bin=i;type=STRING"),
            (IndexKind::MapValues, IndexedType::Blob, "indextype=MAPVALUES;bin=i;type=BLOB"),
        ] {
            let expected = format!("sindex-create:namespace=test;set=demo;indexname=ix_num;{expected}");
            check(&SecondaryIndex { kind, indexed, ..index() }, [8, 1, 0], &expected);
        }
    }

    #[test]
    fn an_index_is_dropped_by_its_name() {
        for (build, expected) in [
            ([8, 1, 0], "sindex-delete:namespace=test;indexname=ix"),
            ([8, 0, 9], "sindex-delete:ns=test;indexname=ix"),
        ] {
            assert_eq!(drop_command(b"test", b"ix", Build(build)).unwrap(), expected.as_bytes());
        }
        assert_eq!(drop_command(b"test", b"a;b", Build([8, 1, 0])).unwrap_err().kind(), ErrorKind::Input);
    }

    #[test]
    fn a_separator_in_a_name_is_refused() {
        for name in [&b"a;b"[..], b"a\nb", b"a\tb"] {
            let index = SecondaryIndex { name: name.to_vec(), ..index() };
            assert_eq!(create_command(&index, Build([8, 1, 0])).unwrap_err().kind(), ErrorKind::Input);
        }
    }
}
