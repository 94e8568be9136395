//! What answers messages where `--reply` is given: the template, and how large a reply may be.

use wire::{OpCode, Template, Templated};

use crate::config::EchoOptions;

/// What these options say; `None` where each message is sent back as it is.
pub(crate) fn of(echo: &EchoOptions) -> Option<Templated> {
    Some(Templated { template: echo.reply.clone()?, binary: echo.reply_binary })
}

/// The template for messages of this kind, if one answers them.
pub(crate) fn template(templated: Option<&Templated>, opcode: OpCode) -> Option<&Template> {
    templated.and_then(|templated| templated.of(opcode))
}
