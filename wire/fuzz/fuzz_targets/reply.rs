//! Replies by template are what the model says, in as many turns as they take; and a text that is a template is written as it
//! was read.

#![no_main]

use libfuzzer_sys::fuzz_target;

use wire::{End, Limits, Template, Templated, reply};
use wire_fuzz::model;

const LIMITS: Limits = Limits { max_message_size: 3000, max_fragments: 1 };

fuzz_target!(|input: &[u8]| {
    let [options, before_len, behind_len, rest @ ..] = input else { return };
    let (before, rest) = rest.split_at(rest.len().min(usize::from(*before_len)));
    let (behind, stream) = rest.split_at(rest.len().min(usize::from(*behind_len)));
    let [before, behind] = [before, behind].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let text = format!("{before}{behind}");
    if let Ok(template) = text.parse::<Template>() {
        assert_eq!(template.to_string(), text);
    }
    let escaped = |text: &str| text.replace('{', "{{").replace('}', "}}");
    let template: Template =
        format!("{}{{}}{}", escaped(&before), escaped(&behind)).parse().expect("no brace stands alone");
    let templated = Templated { template, binary: options & 1 == 1 };
    let model = model::reply(stream, &LIMITS, [&before, &behind], templated.binary);

    let (mut replies, mut consumed, mut messages) = (Vec::new(), 0, 0);
    let end = loop {
        let mut out = Vec::new();
        let replied = reply(&stream[consumed..], &LIMITS, &templated, &mut out);
        consumed += replied.consumed;
        messages += replied.messages;
        replies.append(&mut out);
        match replied.end {
            Some(end) => break end,
            None => assert!(replied.messages > 0, "there is enough to be sent"),
        }
    };
    assert_eq!((consumed, messages), (model.consumed, model.messages));
    assert_eq!(replies, model.replies);
    match model.end {
        Some(expected) => assert_eq!(end, expected),
        None => assert!(matches!(end, End::Partial | End::Detour)),
    }
});
