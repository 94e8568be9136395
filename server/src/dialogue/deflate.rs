//! permessage-deflate in this server: how messages are answered, and what all connections of a thread share for that.

use std::cell::RefCell;

use wire::deflate::{Codec, Effort, Replies, Shared};
use wire::{OpCode, Template, Violation};

use crate::config::Config;

/// How the messages of every connection that agreed on permessage-deflate are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Compression {
    effort: Effort,
    pub(crate) replies: Replies,
}

impl Compression {
    /// What the configuration says, if it says so.
    pub(crate) fn new(config: &Config) -> Option<Self> {
        let options = config.permessage_deflate?;
        Some(Self { effort: options.effort(), replies: options.replies(config.limits.max_message_size) })
    }

    /// Calls `act` with what the connections of this thread share.
    pub(crate) fn with_shared<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        SHARED.with_borrow_mut(|shared| {
            let shared = match shared {
                Some((effort, shared)) if *effort == self.effort => shared,
                other => &mut other.insert((self.effort, Shared::new(self.effort))).1,
            };
            let result = act(shared);
            shared.trim();
            result
        })
    }

    /// The payload that answers a message, by `template` if there is one, put into `reply`. The message is shown to `see`.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub(crate) fn answer(
        &self,
        codec: &mut Codec,
        message: &wire::deflate::Message<'_>,
        template: Option<&Template>,
        reply: &mut Vec<u8>,
        see: Option<impl FnOnce(&[u8])>,
    ) -> Result<wire::deflate::Answer, Violation> {
        reply.clear();
        self.with_shared(|shared| match (template, see) {
            (None, None) => wire::deflate::answer(message, &self.replies, codec, shared, reply),
            (template, see) => {
                let template = template.cloned().unwrap_or_else(Template::echo);
                let see = |message: &[u8]| see.into_iter().for_each(|see| see(message));
                wire::deflate::answer_by(&template, message, &self.replies, codec, shared, reply, see)
            }
        })
    }
}

/// What is known of a message before its first frame is read: how it came if it is compressed, which fastwebsockets is
/// not told.
pub(crate) type CompressedAs = Option<OpCode>;

thread_local! {
    static SHARED: RefCell<Option<(Effort, Shared)>> = const { RefCell::new(None) };
}
