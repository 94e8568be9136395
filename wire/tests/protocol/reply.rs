//! Replies by template: which texts are templates, and what a stream of frames becomes.

use proptest::prelude::*;

use crate::model;
use wire::{
    End, Header, Limits, MAX_HEADER_LEN, NoTemplate, OpCode, Replied, Template, Templated, Violation, apply_mask,
};

const LIMITS: Limits = Limits { max_message_size: 100, max_fragments: 1 };

fn frame(opcode: OpCode, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let header = Header { fin: true, rsv: 0, opcode, mask, payload_len: payload.len() as u64 };
    let mut head = [0; MAX_HEADER_LEN];
    let len = header.encode(&mut head);
    let mut payload = payload.to_vec();
    apply_mask(&mut payload, mask.unwrap_or_default());
    [&head[..len], &payload].concat()
}

fn sent(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    frame(opcode, Some([1, 2, 3, 250]), payload)
}

fn templated(binary: bool) -> Templated {
    Templated { template: "<{}>".parse().unwrap(), binary }
}

#[test]
fn a_template_has_one_place_and_escaped_braces() {
    for (text, reply) in
        [("{}", "m"), ("a{}b", "amb"), ("{{{}}}", "{m}"), ("{{}}{}", "{}m"), ("{}{{}}", "m{}"), ("é{}漢", "ém漢")]
    {
        let template: Template = text.parse().unwrap();
        let mut out = Vec::new();
        template.append(b"m", &mut out);
        assert_eq!((out, template.to_string()), (reply.as_bytes().to_vec(), text.to_owned()));
        assert_eq!(template.reply_len(1), reply.len());
    }
    for (text, why) in [
        ("", NoTemplate::NoPlace),
        ("{{}}", NoTemplate::NoPlace),
        ("{}{}", NoTemplate::SeveralPlaces),
        ("{", NoTemplate::LoneBrace(0)),
        ("a}{}", NoTemplate::LoneBrace(1)),
        ("{}{x}", NoTemplate::LoneBrace(2)),
    ] {
        assert_eq!(text.parse::<Template>(), Err(why), "{text}");
    }
}

#[test]
fn a_stream_cut_anywhere_is_answered_like_the_whole() {
    let stream =
        [sent(OpCode::Text, b"one"), sent(OpCode::Binary, b"\xff"), sent(OpCode::Text, "漢".as_bytes())].concat();
    for binary in [false, true] {
        let expected = [
            frame(OpCode::Text, None, b"<one>"),
            frame(OpCode::Binary, None, if binary { b"<\xff>" } else { b"\xff" }),
            frame(OpCode::Text, None, "<漢>".as_bytes()),
        ]
        .concat();
        for cut in 0..=stream.len() {
            let mut out = Vec::new();
            let first = wire::reply(&stream[..cut], &LIMITS, &templated(binary), &mut out);
            let rest = wire::reply(&stream[first.consumed..], &LIMITS, &templated(binary), &mut out);
            assert_eq!((first.end, rest.end), (Some(End::Partial), Some(End::Partial)));
            assert_eq!((first.messages + rest.messages, first.consumed + rest.consumed), (3, stream.len()));
            assert_eq!(out, expected, "cut at {cut}");
        }
    }
}

#[test]
fn what_cannot_be_answered_ends_it_after_what_can() {
    let good = sent(OpCode::Text, &[b'x'; 98]);
    let reply = frame(OpCode::Text, None, &[b"<", &[b'x'; 98][..], b">"].concat());
    for (bad, end) in [
        (sent(OpCode::Text, &[b'x'; 99]), End::Violation(Violation::ReplyTooBig { limit: 100 })),
        (sent(OpCode::Text, b"\xff"), End::Violation(Violation::InvalidUtf8)),
        (sent(OpCode::Ping, b""), End::Detour),
        (sent(OpCode::Binary, &[b'x'; 101]), End::Detour),
    ] {
        let mut out = Vec::new();
        let Replied { consumed, messages, end: ended } =
            wire::reply(&[&good[..], &bad].concat(), &LIMITS, &templated(false), &mut out);
        assert_eq!((messages, ended), (1, Some(end)));
        assert_eq!(out, reply);
        assert_eq!(consumed, good.len() + if matches!(end, End::Detour) { 0 } else { bad.len() });
    }
}

proptest! {
    #[test]
    fn random_streams_are_answered_as_the_model_says(
        texts in ["[{}a漢]{0,9}", "[{}a漢]{0,9}"],
        messages in prop::collection::vec((any::<bool>(), prop_oneof!["\\PC{0,30}".prop_map(String::into_bytes), any::<[u8; 9]>().prop_map(Vec::from)]), 0..6),
        binary: bool,
        missing in 0_usize..20,
    ) {
        let escaped = |text: &str| text.replace('{', "{{").replace('}', "}}");
        let template: Template = format!("{}{{}}{}", escaped(&texts[0]), escaped(&texts[1])).parse().unwrap();
        let opcode = |text| if text { OpCode::Text } else { OpCode::Binary };
        let stream: Vec<u8> = messages.iter().flat_map(|(text, payload)| sent(opcode(*text), payload)).collect();
        let stream = &stream[..stream.len().saturating_sub(missing)];
        let model = model::reply(stream, &LIMITS, [&texts[0], &texts[1]], binary);
        let mut out = Vec::new();
        let replied = wire::reply(stream, &LIMITS, &Templated { template, binary }, &mut out);
        prop_assert_eq!((replied.consumed, replied.messages), (model.consumed, model.messages));
        prop_assert_eq!(out, model.replies);
        match model.end {
            Some(end) => prop_assert_eq!(replied.end, Some(end)),
            None => prop_assert!(matches!(replied.end, Some(End::Partial | End::Detour))),
        }
    }
}
