//! A client that does as it is told, byte by byte.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use asbackup_codec::Step;
use asbackup_codec::wire::{
    FrameHeader, FrameKind, Message, MessageHeader, QueryRequest, ResultCode, begin_frame, end_frame, field,
    info, info1, info2, info3, op, put_field, put_op,
};
use asbackup_model::{BinSlot, Digest, RecordLayout, ValueSlot, VoidTime, particle};
use asbackup_testserver::{Store, TestServer};

/// Returns a server with the namespace `test`.
pub(crate) fn server() -> TestServer {
    TestServer::builder().namespace("test").start().unwrap()
}

/// Returns a digest of partition 5 that sorts by this number.
pub(crate) fn digest(number: u8) -> Digest {
    let mut bytes = [0; 20];
    (bytes[0], bytes[19]) = (5, number);
    Digest(bytes)
}

pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    pub(crate) fn connect(server: &TestServer) -> Self {
        Self::connect_to(server.address())
    }

    pub(crate) fn connect_to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        // A server that doesn't answer fails the test instead of hanging it.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn frame(&mut self) -> io::Result<(FrameKind, Vec<u8>)> {
        let mut head = [0; 8];
        self.stream.read_exact(&mut head)?;
        let header = FrameHeader::decode(head).map_err(io::Error::other)?;
        let mut body = vec![0; header.body_bytes as usize];
        self.stream.read_exact(&mut body)?;
        Ok((header.kind, body))
    }

    /// Returns exactly that many bytes of what comes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Returns what still comes until the server hangs up.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A connection that is reset has ended as well.
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }

    pub(crate) fn info(&mut self, command: &str) -> String {
        let mut request = Vec::new();
        info::encode_request(&mut request, &[command]);
        self.send(&request);
        let (kind, body) = self.frame().unwrap();
        assert_eq!(kind, FrameKind::Info);
        let mut replies = info::replies(&body);
        let (echo, reply) = replies.next().unwrap();
        assert_eq!((echo, replies.next()), (command.as_bytes(), None));
        String::from_utf8(reply.to_vec()).unwrap()
    }

    /// Sends a message about one record and returns the answer.
    pub(crate) fn single(&mut self, request: &Request) -> Reply {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.send(&bytes);
        let mut replies = Reply::all(&self.frame().unwrap().1);
        assert_eq!(replies.len(), 1);
        replies.remove(0)
    }

    /// Sends a request and returns all messages up to the last, which is among them.
    pub(crate) fn many(&mut self, request: &[u8]) -> Vec<Reply> {
        self.send(request);
        let mut replies = Vec::new();
        loop {
            replies.extend(Reply::all(&self.frame().unwrap().1));
            if replies.last().is_some_and(|reply: &Reply| reply.header.info3 & info3::LAST != 0) {
                return replies;
            }
        }
    }

    pub(crate) fn scan(&mut self, request: &QueryRequest<'_>) -> Vec<Reply> {
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        self.many(&bytes)
    }

    pub(crate) fn write(&mut self, number: u8, bins: &[(&str, u8, &[u8])]) -> Reply {
        self.single(&Request::write(digest(number), bins))
    }

    pub(crate) fn read(&mut self, number: u8) -> Reply {
        self.single(&Request::read(digest(number)))
    }
}

/// A message about one record.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) header: MessageHeader,
    pub(crate) fields: Vec<(u8, Vec<u8>)>,
    pub(crate) ops: Vec<(u8, u8, String, Vec<u8>)>,
}

impl Request {
    fn new(digest: Digest) -> Self {
        let fields = vec![
            (field::NAMESPACE, b"test".to_vec()),
            (field::SET, b"demo".to_vec()),
            (field::DIGEST, digest.0.to_vec()),
        ];
        Self { header: MessageHeader::default(), fields, ops: Vec::new() }
    }

    pub(crate) fn write(digest: Digest, bins: &[(&str, u8, &[u8])]) -> Self {
        let mut request = Self::new(digest);
        request.header.info2 = info2::WRITE;
        for (name, particle, value) in bins {
            request.ops.push((op::WRITE, *particle, (*name).to_owned(), value.to_vec()));
        }
        request
    }

    pub(crate) fn delete(digest: Digest) -> Self {
        let mut request = Self::new(digest);
        request.header.info2 = info2::WRITE | info2::DELETE;
        request
    }

    pub(crate) fn read(digest: Digest) -> Self {
        let mut request = Self::new(digest);
        request.header.info1 = info1::READ | info1::ALL_BINS;
        request
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut MessageHeader)) -> Self {
        change(&mut self.header);
        self
    }

    pub(crate) fn field(mut self, kind: u8, data: &[u8]) -> Self {
        self.fields.push((kind, data.to_vec()));
        self
    }

    pub(crate) fn op(mut self, code: u8, name: &str) -> Self {
        self.ops.push((code, particle::NIL, name.to_owned(), Vec::new()));
        self
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = begin_frame(out, FrameKind::Message);
        let fields = u16::try_from(self.fields.len()).unwrap();
        let ops = u16::try_from(self.ops.len()).unwrap();
        out.extend_from_slice(&MessageHeader { fields, ops, ..self.header }.encode());
        self.put_body(out);
        end_frame(out, start);
    }

    fn put_body(&self, out: &mut Vec<u8>) {
        self.fields.iter().for_each(|(kind, data)| put_field(out, *kind, data));
        for (code, particle, name, value) in &self.ops {
            put_op(out, *code, *particle, name.as_bytes(), value);
        }
    }

    /// Appends this message as a row of a batch, with its digest and all of its header.
    pub(crate) fn put_row(&self, index: u32, out: &mut Vec<u8>) {
        let digest = self.fields.iter().find(|(kind, _)| *kind == field::DIGEST).unwrap().1.clone();
        let mut row = self.clone();
        row.fields.retain(|(kind, _)| *kind != field::DIGEST);
        out.extend_from_slice(&index.to_be_bytes());
        out.extend_from_slice(&digest);
        let header = row.header;
        out.extend_from_slice(&[2 | 4 | 8, header.info1, header.info2, header.info3]);
        out.extend_from_slice(&u16::try_from(header.generation).unwrap().to_be_bytes());
        out.extend_from_slice(&header.ttl.to_be_bytes());
        out.extend_from_slice(&u16::try_from(row.fields.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&u16::try_from(row.ops.len()).unwrap().to_be_bytes());
        row.put_body(out);
    }
}

/// A message that came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) header: MessageHeader,
    pub(crate) digest: Option<Digest>,
    pub(crate) bins: Vec<(String, u8, Vec<u8>)>,
}

impl Reply {
    pub(crate) fn all(mut body: &[u8]) -> Vec<Self> {
        let mut replies = Vec::new();
        while !body.is_empty() {
            let Step::Done { value: message, used } = Message::decode(body) else { panic!("not whole") };
            let bin = |op: asbackup_codec::wire::Op<'_>| {
                (String::from_utf8(op.name.to_vec()).unwrap(), op.particle, op.value.to_vec())
            };
            replies.push(Self {
                header: message.header,
                digest: message.field(field::DIGEST).map(|data| Digest(data.try_into().unwrap())),
                bins: message.ops().map(bin).collect(),
            });
            body = &body[used..];
        }
        replies
    }

    pub(crate) fn result(&self) -> ResultCode {
        self.header.result
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.bins.iter().map(|(name, ..)| name.as_str()).collect()
    }
}

/// Returns the op value of an integer.
pub(crate) fn int(value: i64) -> [u8; 8] {
    value.to_be_bytes()
}

/// Stores a record with the integer bin `keep` as it is, without any rule of writing.
pub(crate) fn store(store: &Store, digest: Digest, set: &str, generation: u16, void_time_s: u64) {
    let mut layout = RecordLayout::new();
    let mut span = |text: &str| layout.keep(text.as_bytes());
    let (namespace, set, name) = (span("test"), (!set.is_empty()).then(|| span(set)), span("keep"));
    layout.namespace = namespace;
    layout.set = set;
    layout.digest = digest;
    layout.generation = generation;
    layout.void_time = VoidTime(void_time_s);
    layout.bins.push(BinSlot { name, value: ValueSlot::Integer(1) });
    store.put(&layout.view(&[]));
}
