//! Where the bits are: one table of fields for each form of an instruction.
//!
//! A [`Form`] lists its fields with offset and width; [`Words`] is what lies between the tables and the semantic records:
//! the values of all fields of an engine, whatever the form they came from. A field that a form lacks reads as 0.

/// A field of a form: bits `offset .. offset + width` of the command, the lowest bit first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<F> {
    pub id: F,
    pub offset: u16,
    pub width: u8,
}

/// The layout of a command.
#[derive(Debug, Clone, Copy)]
pub struct Form<F: 'static> {
    pub name: &'static str,
    /// Bytes of the command.
    pub bytes: usize,
    pub fields: &'static [Field<F>],
}

macro_rules! form {
    ($(#[$meta:meta])* $kind:ident $const:ident, $name:literal, $bytes:literal, [$($field:ident $offset:literal $width:literal,)*]) => {
        $(#[$meta])*
        pub const $const: Form<$kind> = Form {
            name: $name,
            bytes: $bytes,
            fields: &[$(Field { id: $kind::$field, offset: $offset, width: $width }),*],
        };
    };
}

/// A field of a TIU command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TiuField {
    CmdShort,
    CmdId,
    CmdIdDep,
    TskTyp,
    TskEuTyp,
    EuHalfEn,
    TskOpdNum,
    PadMode,
    CmdIdEn,
    PwrStep,
    IntrEn,
    ResAdd,
    Relu,
    LeftTran,
    KernelRotate,
    Opd0Sign,
    Opd1Sign,
    Opd2Sign,
    Res0Prec,
    Opd0Prec,
    Opd1Prec,
    Opd2Prec,
    Opd0Const,
    Opd1Const,
    Opd2Const,
    Res0Str,
    Opd0Str,
    Opd1Str,
    Opd2Str,
    ResAddSign,
    Opd3Const,
    Opd0XIns0,
    Opd0YIns0,
    Opd1XIns0,
    Opd1YIns0,
    Opd0UpPad,
    Opd0DnPad,
    Opd0LfPad,
    Opd0RtPad,
    ResOpXStr,
    ResOpYStr,
    Res0HShift,
    Res0WShift,
    Opd0HShift,
    Opd0WShift,
    Opd1HShift,
    Opd1WShift,
    TskLaneNum,
    Res0N,
    Res0C,
    Res0H,
    Res0W,
    Opd0N,
    Opd0C,
    Opd0H,
    Opd0W,
    Opd1N,
    Opd1C,
    Opd1H,
    Opd1W,
    Res0NStr,
    Res0CStr,
    Opd0NStr,
    Opd0CStr,
    Opd1NStr,
    Opd1CStr,
    Opd2NStr,
    Opd2CStr,
    Res0Addr,
    Opd0Addr,
    Opd1Addr,
    Opd2Addr,
    Res0HStr,
    Res0WStr,
    Opd0HStr,
    Opd0WStr,
    Opd1HStr,
    Opd1WStr,
    Opd2HStr,
    Opd2WStr,
    Res1Addr,
    Opd3Addr,
    StartTid,
    CmdIdEng1,
    CmdIdEng2,
    CmdIdEng3,
}

impl TiuField {
    pub const COUNT: usize = 86;

    /// The name in listings.
    pub const fn name(self) -> &'static str {
        match self {
            TiuField::CmdShort => "cmd_short",
            TiuField::CmdId => "cmd_id",
            TiuField::CmdIdDep => "cmd_id_dep",
            TiuField::TskTyp => "tsk_typ",
            TiuField::TskEuTyp => "tsk_eu_typ",
            TiuField::EuHalfEn => "eu_half_en",
            TiuField::TskOpdNum => "tsk_opd_num",
            TiuField::PadMode => "pad_mode",
            TiuField::CmdIdEn => "cmd_id_en",
            TiuField::PwrStep => "pwr_step",
            TiuField::IntrEn => "intr_en",
            TiuField::ResAdd => "res_add",
            TiuField::Relu => "relu",
            TiuField::LeftTran => "left_tran",
            TiuField::KernelRotate => "kernel_rotate",
            TiuField::Opd0Sign => "opd0_sign",
            TiuField::Opd1Sign => "opd1_sign",
            TiuField::Opd2Sign => "opd2_sign",
            TiuField::Res0Prec => "res0_prec",
            TiuField::Opd0Prec => "opd0_prec",
            TiuField::Opd1Prec => "opd1_prec",
            TiuField::Opd2Prec => "opd2_prec",
            TiuField::Opd0Const => "opd0_const",
            TiuField::Opd1Const => "opd1_const",
            TiuField::Opd2Const => "opd2_const",
            TiuField::Res0Str => "res0_str",
            TiuField::Opd0Str => "opd0_str",
            TiuField::Opd1Str => "opd1_str",
            TiuField::Opd2Str => "opd2_str",
            TiuField::ResAddSign => "res_add_sign",
            TiuField::Opd3Const => "opd3_const",
            TiuField::Opd0XIns0 => "opd0_x_ins0",
            TiuField::Opd0YIns0 => "opd0_y_ins0",
            TiuField::Opd1XIns0 => "opd1_x_ins0",
            TiuField::Opd1YIns0 => "opd1_y_ins0",
            TiuField::Opd0UpPad => "opd0_up_pad",
            TiuField::Opd0DnPad => "opd0_dn_pad",
            TiuField::Opd0LfPad => "opd0_lf_pad",
            TiuField::Opd0RtPad => "opd0_rt_pad",
            TiuField::ResOpXStr => "res_op_x_str",
            TiuField::ResOpYStr => "res_op_y_str",
            TiuField::Res0HShift => "res0_h_shift",
            TiuField::Res0WShift => "res0_w_shift",
            TiuField::Opd0HShift => "opd0_h_shift",
            TiuField::Opd0WShift => "opd0_w_shift",
            TiuField::Opd1HShift => "opd1_h_shift",
            TiuField::Opd1WShift => "opd1_w_shift",
            TiuField::TskLaneNum => "tsk_lane_num",
            TiuField::Res0N => "res0_n",
            TiuField::Res0C => "res0_c",
            TiuField::Res0H => "res0_h",
            TiuField::Res0W => "res0_w",
            TiuField::Opd0N => "opd0_n",
            TiuField::Opd0C => "opd0_c",
            TiuField::Opd0H => "opd0_h",
            TiuField::Opd0W => "opd0_w",
            TiuField::Opd1N => "opd1_n",
            TiuField::Opd1C => "opd1_c",
            TiuField::Opd1H => "opd1_h",
            TiuField::Opd1W => "opd1_w",
            TiuField::Res0NStr => "res0_n_str",
            TiuField::Res0CStr => "res0_c_str",
            TiuField::Opd0NStr => "opd0_n_str",
            TiuField::Opd0CStr => "opd0_c_str",
            TiuField::Opd1NStr => "opd1_n_str",
            TiuField::Opd1CStr => "opd1_c_str",
            TiuField::Opd2NStr => "opd2_n_str",
            TiuField::Opd2CStr => "opd2_c_str",
            TiuField::Res0Addr => "res0_addr",
            TiuField::Opd0Addr => "opd0_addr",
            TiuField::Opd1Addr => "opd1_addr",
            TiuField::Opd2Addr => "opd2_addr",
            TiuField::Res0HStr => "res0_h_str",
            TiuField::Res0WStr => "res0_w_str",
            TiuField::Opd0HStr => "opd0_h_str",
            TiuField::Opd0WStr => "opd0_w_str",
            TiuField::Opd1HStr => "opd1_h_str",
            TiuField::Opd1WStr => "opd1_w_str",
            TiuField::Opd2HStr => "opd2_h_str",
            TiuField::Opd2WStr => "opd2_w_str",
            TiuField::Res1Addr => "res1_addr",
            TiuField::Opd3Addr => "opd3_addr",
            TiuField::StartTid => "start_tid",
            TiuField::CmdIdEng1 => "cmd_id_eng1",
            TiuField::CmdIdEng2 => "cmd_id_eng2",
            TiuField::CmdIdEng3 => "cmd_id_eng3",
        }
    }
}

form! {
    /// The 128-byte form, the same for all operations.
    TiuField LONG, "CONV", 128, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, EuHalfEn 50 1, TskOpdNum 51 2,
        PadMode 53 2, CmdIdEn 55 4, PwrStep 59 4, IntrEn 63 1, ResAdd 64 1, Relu 65 1, LeftTran 66 1,
        KernelRotate 68 1, Opd0Sign 69 1, Opd1Sign 70 1, Opd2Sign 71 1, Res0Prec 72 3, Opd0Prec 75 3, Opd1Prec 78 3,
        Opd2Prec 81 3, Opd0Const 84 1, Opd1Const 85 1, Opd2Const 86 1, Res0Str 87 3, Opd0Str 90 3, Opd1Str 93 3,
        Opd2Str 96 3, ResAddSign 99 1, Opd3Const 126 1, Opd0XIns0 128 4, Opd0YIns0 132 4, Opd1XIns0 136 4,
        Opd1YIns0 140 4, Opd0UpPad 144 4, Opd0DnPad 148 4, Opd0LfPad 152 4, Opd0RtPad 156 4, ResOpXStr 160 4,
        ResOpYStr 164 4, Res0HShift 168 4, Res0WShift 172 4, Opd0HShift 176 4, Opd0WShift 180 4, Opd1HShift 184 4,
        Opd1WShift 188 4, TskLaneNum 192 64, Res0N 256 16, Res0C 272 16, Res0H 288 16, Res0W 304 16, Opd0N 320 16,
        Opd0C 336 16, Opd0H 352 16, Opd0W 368 16, Opd1N 384 16, Opd1C 400 16, Opd1H 416 16, Opd1W 432 16,
        Res0NStr 448 16, Res0CStr 464 16, Opd0NStr 480 16, Opd0CStr 496 16, Opd1NStr 512 16, Opd1CStr 528 16,
        Opd2NStr 544 16, Opd2CStr 560 16, Res0Addr 576 32, Opd0Addr 608 32, Opd1Addr 640 32, Opd2Addr 672 32,
        Res0HStr 704 32, Res0WStr 736 32, Opd0HStr 768 32, Opd0WStr 800 32, Opd1HStr 832 32, Opd1WStr 864 32,
        Opd2HStr 896 32, Opd2WStr 928 32, Res1Addr 960 32, Opd3Addr 992 32,
    ]
}

form! {
    /// Short form of CONV.
    TiuField SHORT_CONV, "sCONV", 64, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, Opd0Sign 50 1, Opd1Sign 51 1,
        Opd2Sign 52 1, PadMode 53 2, CmdIdEn 55 4, PwrStep 59 4, ResAdd 63 1, KernelRotate 64 1, Res0Prec 65 3,
        Opd0Prec 68 3, Opd1Const 71 1, Opd2Const 72 1, Opd0UpPad 73 4, Opd0DnPad 77 4, Opd0LfPad 81 4, Opd0RtPad 85 4,
        ResOpXStr 89 4, ResOpYStr 93 4, Opd3Const 97 1, Opd0Str 98 3, Res0Addr 101 26, IntrEn 127 1, Opd0XIns0 128 4,
        Opd0YIns0 132 4, Opd1XIns0 136 4, Opd1YIns0 140 4, Opd0NStr 144 16, Res0N 160 16, Res0C 176 16, Res0H 192 16,
        Res0W 208 16, Opd0C 224 16, Opd0H 240 16, Opd0W 256 16, Opd1H 272 16, Opd1W 288 16, Opd0CStr 304 16,
        Opd0Addr 320 32, Opd1Addr 352 32, Opd2Addr 384 32, Res1Addr 416 32, Opd3Addr 448 32, Opd0HStr 480 16,
        Opd0WStr 496 16,
    ]
}

form! {
    /// Short form of PorD.
    TiuField SHORT_PORD, "sPorD", 64, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, KernelRotate 50 1, Opd0Sign 51 1,
        Opd1Sign 52 1, PadMode 53 2, CmdIdEn 55 4, PwrStep 59 4, Opd1Const 63 1, Opd2Const 64 1, Opd3Const 65 1,
        Res0Prec 66 3, Opd0Prec 69 3, Opd0XIns0 72 4, Opd0YIns0 76 4, Opd1XIns0 80 4, Opd1YIns0 84 4, Opd0UpPad 88 4,
        Opd0DnPad 92 4, Opd0LfPad 96 4, Opd0RtPad 100 4, ResOpXStr 104 4, ResOpYStr 108 4, Opd2NStr 112 3,
        Opd2Sign 126 1, IntrEn 127 1, Res0N 128 16, Res0C 144 16, Res0H 160 16, Res0W 176 16, Opd0H 192 16,
        Opd0W 208 16, Opd1H 224 16, Opd1W 240 16, Res0Addr 256 32, Opd0Addr 288 32, Opd1Addr 320 32, Opd2Addr 352 32,
        Res1Addr 384 32, Opd3Addr 416 32,
    ]
}

form! {
    /// Short form of MM.
    TiuField SHORT_MM, "sMM", 48, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, ResAdd 50 1, LeftTran 51 1,
        Opd0Const 52 1, Opd2Const 53 1, CmdIdEn 55 4, PwrStep 59 4, IntrEn 63 1, Opd0Sign 64 1, Opd1Sign 65 1,
        Opd2Sign 66 1, Res0Prec 67 3, Opd0Prec 70 3, Opd2NStr 73 3, Res0C 112 16, Res0W 128 16, Opd0N 144 16,
        Opd0C 160 16, Opd0W 176 16, Opd1W 208 16, Res0Addr 224 32, Opd0Addr 256 32, Opd1Addr 288 32, Opd2Addr 320 32,
        Opd3Addr 352 32,
    ]
}

form! {
    /// Short form of MM2.
    TiuField SHORT_MM2, "sMM2", 32, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, Opd0Sign 50 1, Opd1Sign 51 1,
        Res0Prec 52 3, CmdIdEn 55 4, PwrStep 59 4, Opd2Const 63 1, Res0C 64 16, Res0W 80 16, Opd1C 96 16,
        Opd1W 112 16, Opd0Prec 128 3, Opd0Const 131 1, Opd1Const 132 1, ResAdd 133 1, Res0Addr 134 25, IntrEn 159 1,
        Opd0Addr 160 32, Opd1Addr 192 32, Opd2Addr 224 32,
    ]
}

form! {
    /// Short form of AR.
    TiuField SHORT_AR, "sAR", 64, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, Opd0Const 50 1, Opd1Const 51 1,
        Opd2Const 52 1, TskOpdNum 53 2, CmdIdEn 55 4, PwrStep 59 4, IntrEn 63 1, Res0Prec 64 3, Opd0Prec 67 3,
        Opd1Prec 70 3, Opd2Prec 73 3, Opd0Sign 76 1, Opd1Sign 77 1, Res0Str 78 3, Opd0Str 81 3, Opd1Str 84 3,
        Opd2NStr 87 3, Res0N 96 16, Res0C 112 16, Res0H 128 16, Res0W 144 16, Res0Addr 160 32, Opd0Addr 192 32,
        Opd1Addr 224 32, Opd2Addr 256 32, Res0NStr 288 16, Res0CStr 304 16, Opd0NStr 320 16, Opd0CStr 336 16,
        Opd1NStr 352 16, Opd1CStr 368 16, Res0HStr 384 20, Res0WStr 404 20, Opd0HStr 424 20, Opd2Sign 444 1,
        Opd0WStr 448 20, Opd1HStr 468 20, Opd1WStr 488 20,
    ]
}

form! {
    /// Short form of RQ/DQ.
    TiuField SHORT_RQ_DQ, "sRQ_sDQ", 32, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, Opd0Sign 50 1, Opd2Sign 51 1,
        Res0Prec 52 3, CmdIdEn 55 4, PwrStep 59 4, Opd1Const 63 1, Opd0Prec 64 3, Opd2NStr 67 6, Res0Addr 73 27,
        Opd0Addr 100 27, IntrEn 127 1, Res0N 128 16, Res0C 144 16, Res0H 160 16, Res0W 176 16, Opd1Addr 192 32,
        Opd2Addr 224 32,
    ]
}

form! {
    /// Short form of TRANS/BC.
    TiuField SHORT_TRANS_BC, "sTRANS_sBC", 32, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, Res0Prec 50 3, CmdIdEn 55 4,
        PwrStep 59 4, IntrEn 63 1, Res0N 64 16, Res0C 80 16, Res0H 96 16, Res0W 112 16, Opd0C 128 16, Opd0W 144 16,
        Res0Addr 192 32, Opd0Addr 224 32,
    ]
}

form! {
    /// Short form of SG.
    TiuField SHORT_SG, "sSG", 48, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, Opd3Const 50 1, IntrEn 51 1,
        Opd0Str 52 3, CmdIdEn 55 4, PwrStep 59 4, Opd2Const 63 1, Res0N 64 16, Res0C 80 16, Res0H 96 16, Res0W 112 16,
        Opd0H 128 16, Opd0W 144 16, Opd1C 160 16, Opd1W 176 16, Res0Prec 192 3, Res0Addr 195 29, Opd0Prec 224 3,
        Opd0Addr 227 29, Opd1Prec 256 3, Opd1Addr 259 29, Opd2Addr 288 32, Res1Addr 320 32, Opd3Addr 352 32,
    ]
}

form! {
    /// Short form of SGL.
    TiuField SHORT_SGL, "sSGL", 48, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, Opd3Const 53 1, IntrEn 54 1,
        CmdIdEn 55 4, PwrStep 59 4, Opd2Const 63 1, Res0Prec 64 3, Opd1Prec 67 3, Opd0Str 70 3, Res0N 80 16,
        Res0C 96 16, Res0H 112 16, Res0W 128 16, Opd0H 144 16, Res0Addr 160 32, Opd0Addr 192 32, Opd1Addr 224 32,
        Opd2Addr 256 32, Res1Addr 288 32,
    ]
}

form! {
    /// Short form of SFU.
    TiuField SHORT_SFU, "sSFU", 32, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, CmdIdEn 55 4, PwrStep 59 4, IntrEn 63 1,
        Res0Prec 64 3, Opd0Prec 67 3, Opd2NStr 70 2, Res0N 80 16, Res0C 96 16, Res0H 112 16, Res0W 128 16,
        Opd1N 144 16, Res0Addr 160 32, Opd0Addr 192 32, Opd1Addr 224 32,
    ]
}

form! {
    /// Short form of LIN.
    TiuField SHORT_LIN, "sLIN", 32, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, Opd1Const 50 1, Opd2Const 51 1,
        Res0Prec 52 3, CmdIdEn 55 4, PwrStep 59 4, IntrEn 63 1, Res0N 64 16, Res0C 80 16, Res0H 96 16, Res0W 112 16,
        Res0Addr 128 32, Opd0Addr 160 32, Opd1Addr 192 32, Opd2Addr 224 32,
    ]
}

form! {
    /// Short form of CMP.
    TiuField SHORT_CMP, "sCMP", 48, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, Opd0Const 50 1, Opd1Const 51 1,
        Opd2Const 52 1, Opd3Const 53 1, CmdIdEn 55 4, PwrStep 59 4, IntrEn 63 1, Opd0Prec 64 3, Opd2Prec 67 3,
        Opd0Str 70 3, Opd1Str 73 3, Opd0Sign 127 1, Res0N 128 16, Res0C 144 16, Res0H 160 16, Res0W 176 16,
        Res0Addr 192 32, Res1Addr 224 32, Opd0Addr 256 32, Opd1Addr 288 32, Opd2Addr 320 32, Opd3Addr 352 32,
    ]
}

form! {
    /// Short form of VC.
    TiuField SHORT_VC, "sVC", 48, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, Opd0Sign 50 1, Opd1Sign 51 1,
        Opd2NStr 52 3, CmdIdEn 55 4, PwrStep 59 4, IntrEn 63 1, Res0Prec 64 3, Opd0Prec 67 3, Opd1Prec 70 3,
        Res0Addr 73 32, Opd0Addr 128 32, Res0C 176 16, Res0W 192 16, Opd0C 208 16, Opd0W 224 16, Opd1W 240 16,
        Opd1Addr 256 32, Opd2Addr 288 32,
    ]
}

form! {
    /// Arithmetic inside a lane: only this form exists, and it has no ids.
    TiuField LAR, "LAR", 16, [
        Opd0WStr 0 1, Opd1WStr 1 1, Opd2Const 2 1, Res0Prec 3 3, Opd0Prec 6 3, Opd1Prec 9 3, Opd2NStr 12 3,
        Opd0Sign 15 1, Opd1Sign 16 1, StartTid 17 6, Res0C 23 8, Res0W 31 8, TskTyp 41 4, TskEuTyp 45 5,
        TskOpdNum 51 2, PwrStep 59 4, Res0Addr 64 16, Opd0Addr 80 16, Opd1Addr 96 16, Opd2Addr 112 16,
    ]
}

form! {
    /// Control: only this form exists.
    TiuField SYS, "SYSID", 16, [
        CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, CmdIdEn 55 4, PwrStep 59 4, IntrEn 63 1,
        CmdIdEng1 64 20, CmdIdEng2 84 20, CmdIdEng3 104 20,
    ]
}

form! {
    /// Short form of the index generators of AR.
    TiuField SHORT_INDEX, "sSEG", 16, [
        CmdShort 0 1, CmdId 1 20, CmdIdDep 21 20, TskTyp 41 4, TskEuTyp 45 5, Res0Prec 52 3, CmdIdEn 55 4,
        PwrStep 59 4, IntrEn 63 1, Res0C 64 16, Res0W 80 16, Res0Addr 96 32,
    ]
}

/// A field of a DMA command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DmaField {
    IntrEn,
    StrideEnable,
    NchwCopy,
    CmdShort,
    DecompressEnable,
    CmdIdEn,
    CmdId,
    CmdType,
    CmdSpecialFunction,
    FillConstantEn,
    SrcDataFormat,
    CmdIdDep,
    ConstantValue,
    SrcNstride,
    SrcCstride,
    SrcHstride,
    SrcWstride,
    DstNstride,
    DstCstride,
    DstHstride,
    DstWstride,
    SrcNsize,
    SrcCsize,
    SrcHsize,
    SrcWsize,
    DstNsize,
    DstCsize,
    DstHsize,
    DstWsize,
    SrcStartAddr,
    DstStartAddr,
    LocalmemMask,
    MaskDataFormat,
    MaskStartAddr,
    IndexDataFormat,
    IndexCstride,
    IndexHstride,
    IndexCsize,
    IndexHsize,
    IndexStartAddr,
}

impl DmaField {
    pub const COUNT: usize = 40;

    /// The name in listings.
    pub const fn name(self) -> &'static str {
        match self {
            DmaField::IntrEn => "intr_en",
            DmaField::StrideEnable => "stride_enable",
            DmaField::NchwCopy => "nchw_copy",
            DmaField::CmdShort => "cmd_short",
            DmaField::DecompressEnable => "decompress_enable",
            DmaField::CmdIdEn => "cmd_id_en",
            DmaField::CmdId => "cmd_id",
            DmaField::CmdType => "cmd_type",
            DmaField::CmdSpecialFunction => "cmd_special_function",
            DmaField::FillConstantEn => "fill_constant_en",
            DmaField::SrcDataFormat => "src_data_format",
            DmaField::CmdIdDep => "cmd_id_dep",
            DmaField::ConstantValue => "constant_value",
            DmaField::SrcNstride => "src_nstride",
            DmaField::SrcCstride => "src_cstride",
            DmaField::SrcHstride => "src_hstride",
            DmaField::SrcWstride => "src_wstride",
            DmaField::DstNstride => "dst_nstride",
            DmaField::DstCstride => "dst_cstride",
            DmaField::DstHstride => "dst_hstride",
            DmaField::DstWstride => "dst_wstride",
            DmaField::SrcNsize => "src_nsize",
            DmaField::SrcCsize => "src_csize",
            DmaField::SrcHsize => "src_hsize",
            DmaField::SrcWsize => "src_wsize",
            DmaField::DstNsize => "dst_nsize",
            DmaField::DstCsize => "dst_csize",
            DmaField::DstHsize => "dst_hsize",
            DmaField::DstWsize => "dst_wsize",
            DmaField::SrcStartAddr => "src_start_addr",
            DmaField::DstStartAddr => "dst_start_addr",
            DmaField::LocalmemMask => "localmem_mask",
            DmaField::MaskDataFormat => "mask_data_format",
            DmaField::MaskStartAddr => "mask_start_addr",
            DmaField::IndexDataFormat => "index_data_format",
            DmaField::IndexCstride => "index_cstride",
            DmaField::IndexHstride => "index_hstride",
            DmaField::IndexCsize => "index_csize",
            DmaField::IndexHsize => "index_hsize",
            DmaField::IndexStartAddr => "index_start_addr",
        }
    }
}

form! {
    /// Tensor, matrix, general and CW-transpose commands.
    DmaField DMA_BLOCK, "DMA_block", 96, [
        IntrEn 0 1, StrideEnable 1 1, NchwCopy 2 1, CmdShort 3 1, DecompressEnable 4 1, CmdIdEn 5 4, CmdId 9 20,
        CmdType 32 4, CmdSpecialFunction 36 3, FillConstantEn 39 1, SrcDataFormat 40 3, CmdIdDep 64 20,
        ConstantValue 96 32, SrcNstride 128 32, SrcCstride 160 32, SrcHstride 192 32, SrcWstride 224 32,
        DstNstride 256 32, DstCstride 288 32, DstHstride 320 32, DstWstride 352 32, SrcNsize 384 16, SrcCsize 400 16,
        SrcHsize 416 16, SrcWsize 432 16, DstNsize 448 16, DstCsize 464 16, DstHsize 480 16, DstWsize 496 16,
        SrcStartAddr 512 64, DstStartAddr 576 64, LocalmemMask 704 64,
    ]
}

form! {
    /// Masked select.
    DmaField DMA_MASKED_SELECT, "DMA_masked_select", 96, [
        IntrEn 0 1, StrideEnable 1 1, NchwCopy 2 1, CmdShort 3 1, DecompressEnable 4 1, CmdIdEn 5 4, CmdId 9 20,
        CmdType 32 4, CmdSpecialFunction 36 3, FillConstantEn 39 1, SrcDataFormat 40 3, MaskDataFormat 43 3,
        CmdIdDep 64 20, ConstantValue 96 32, SrcNstride 128 32, SrcCstride 160 32, SrcHstride 192 32,
        SrcWstride 224 32, DstNstride 256 32, DstCstride 288 32, DstHstride 320 32, DstWstride 352 32,
        SrcNsize 384 16, SrcCsize 400 16, SrcHsize 416 16, SrcWsize 432 16, DstNsize 448 16, DstCsize 464 16,
        DstHsize 480 16, DstWsize 496 16, SrcStartAddr 512 64, DstStartAddr 576 64, MaskStartAddr 640 64,
        LocalmemMask 704 64,
    ]
}

form! {
    /// Indices of elements that are not zero.
    DmaField DMA_NONZERO, "DMA_nonzero", 96, [
        IntrEn 0 1, StrideEnable 1 1, NchwCopy 2 1, CmdShort 3 1, DecompressEnable 4 1, CmdIdEn 5 4, CmdId 9 20,
        CmdType 32 4, CmdSpecialFunction 36 3, FillConstantEn 39 1, SrcDataFormat 40 3, IndexDataFormat 43 3,
        CmdIdDep 64 20, ConstantValue 96 32, SrcNstride 128 32, SrcCstride 160 32, SrcHstride 192 32,
        SrcWstride 224 32, DstNstride 256 32, DstCstride 288 32, DstHstride 320 32, DstWstride 352 32,
        SrcNsize 384 16, SrcCsize 400 16, SrcHsize 416 16, SrcWsize 432 16, DstNsize 448 16, DstCsize 464 16,
        DstHsize 480 16, DstWsize 496 16, SrcStartAddr 512 64, DstStartAddr 576 64, LocalmemMask 704 64,
    ]
}

form! {
    /// Gather and scatter.
    DmaField DMA_INDEXED, "DMA_gather_scatter", 96, [
        IntrEn 0 1, StrideEnable 1 1, NchwCopy 2 1, CmdShort 3 1, DecompressEnable 4 1, CmdIdEn 5 4, CmdId 9 20,
        CmdType 32 4, CmdSpecialFunction 36 3, FillConstantEn 39 1, SrcDataFormat 40 3, CmdIdDep 64 20,
        ConstantValue 96 32, SrcCstride 128 32, SrcHstride 160 32, DstCstride 192 32, DstHstride 224 32,
        IndexCstride 256 32, IndexHstride 288 32, SrcCsize 336 16, SrcHsize 352 32, SrcWsize 384 16, DstCsize 400 16,
        DstHsize 416 32, DstWsize 448 16, IndexCsize 464 16, IndexHsize 480 32, SrcStartAddr 512 64,
        DstStartAddr 576 64, IndexStartAddr 640 64, LocalmemMask 704 64,
    ]
}

form! {
    /// Control.
    DmaField DMA_SYS, "DMA_sys", 16, [
        IntrEn 0 1, StrideEnable 1 1, NchwCopy 2 1, CmdShort 3 1, DecompressEnable 4 1, CmdIdEn 5 4, CmdId 9 20,
        CmdType 32 4, CmdSpecialFunction 36 3, FillConstantEn 39 1, SrcDataFormat 40 3, CmdIdDep 64 20,
        ConstantValue 96 32,
    ]
}

/// Identifies a field among those of its engine.
pub trait FieldId: Copy + 'static {
    fn index(self) -> usize;
    fn name(self) -> &'static str;
}

impl FieldId for TiuField {
    fn index(self) -> usize {
        self as usize
    }
    fn name(self) -> &'static str {
        TiuField::name(self)
    }
}

impl FieldId for DmaField {
    fn index(self) -> usize {
        self as usize
    }
    fn name(self) -> &'static str {
        DmaField::name(self)
    }
}

const MAX_FIELDS: usize = 128;
const _: () = assert!(TiuField::COUNT <= MAX_FIELDS && DmaField::COUNT <= MAX_FIELDS);

/// The values of all fields of a command.
#[derive(Debug, Clone)]
pub struct Words<F> {
    values: [u64; MAX_FIELDS],
    kind: std::marker::PhantomData<F>,
}

impl<F: FieldId> Default for Words<F> {
    fn default() -> Self {
        Words { values: [0; MAX_FIELDS], kind: std::marker::PhantomData }
    }
}

impl<F: FieldId> Words<F> {
    pub fn get(&self, field: F) -> u64 {
        self.values[field.index()]
    }

    pub fn set(&mut self, field: F, value: u64) -> &mut Self {
        self.values[field.index()] = value;
        self
    }

    /// The fields of a command; `bytes` must hold at least `form.bytes`.
    pub fn read(form: &Form<F>, bytes: &[u8]) -> Self {
        let mut words = Words::default();
        for field in form.fields {
            words.values[field.id.index()] = read_bits(bytes, field.offset.into(), field.width.into());
        }
        words
    }

    /// The first field of the form whose value has more bits than the field, with that value.
    pub fn too_wide(&self, form: &Form<F>) -> Option<(Field<F>, u64)> {
        let fits = |field: &Field<F>| self.get(field.id) <= u64::MAX >> (64 - field.width);
        form.fields.iter().find(|field| !fits(field)).map(|field| (*field, self.get(field.id)))
    }

    /// The command with these fields; a value is cut to its field's width.
    pub fn write(&self, form: &Form<F>) -> Vec<u8> {
        let mut bytes = vec![0; form.bytes];
        for field in form.fields {
            write_bits(&mut bytes, field.offset.into(), field.width.into(), self.get(field.id));
        }
        bytes
    }
}

impl<F: FieldId> Form<F> {
    /// Numbers of the bits that are set in `bytes` and belong to no field of the form.
    pub fn unknown_bits(&self, bytes: &[u8]) -> Vec<usize> {
        let mut known = vec![0u8; self.bytes];
        for field in self.fields {
            write_bits(&mut known, field.offset.into(), field.width.into(), u64::MAX);
        }
        let bit = |bytes: &[u8], bit: usize| bytes.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
        (0..self.bytes * 8).filter(|&i| bit(bytes, i) && !bit(&known, i)).collect()
    }
}

/// Bits `offset .. offset + width` (`width` up to 64); bytes beyond the end read as 0.
fn read_bits(bytes: &[u8], offset: usize, width: usize) -> u64 {
    let first = offset / 8;
    let mut raw = 0u128;
    for i in 0..(offset % 8 + width).div_ceil(8) {
        raw |= u128::from(bytes.get(first + i).copied().unwrap_or(0)) << (8 * i);
    }
    (raw >> (offset % 8)) as u64 & (u64::MAX >> (64 - width))
}

/// Sets bits `offset .. offset + width` of bytes that are zero there.
fn write_bits(bytes: &mut [u8], offset: usize, width: usize, value: u64) {
    let raw = u128::from(value & (u64::MAX >> (64 - width))) << (offset % 8);
    for i in 0..(offset % 8 + width).div_ceil(8) {
        bytes[offset / 8 + i] |= (raw >> (8 * i)) as u8;
    }
}
