//! The close codes: why a connection ends, as a number.

/// A code that may stand in a Close frame (RFC 6455, 7.4 and the registry of its section 11.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server shuts down, or the browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: the peer sent a kind of data that is not accepted.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: the data contradict their kind, as text that is not UTF-8 does.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: refused for a reason of policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: the message is larger than a limit.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1011: the sender failed unexpectedly.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1013: overloaded, try again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// The code, if it may be sent (see [`CloseCode::is_valid_on_wire`]).
    pub const fn new(code: u16) -> Option<Self> {
        if Self::is_valid_on_wire(code) { Some(Self(code)) } else { None }
    }

    /// Whether a Close frame may carry `code`: assigned ones but 1005, 1006 and 1015, which only report what was seen
    /// locally (RFC 6455, 7.4.1), and those for libraries and applications (7.4.2).
    pub const fn is_valid_on_wire(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}
