//! Slot numbers of the container's flatbuffer tables (field ids; the vtable offset is `4 + 2 * slot`).

macro_rules! slots {
    ($($table:ident { $($field:ident = $slot:literal),* $(,)? })*) => {$(
        #[allow(dead_code)]
        pub mod $table {
            $(pub const $field: u16 = $slot;)*
        }
    )*};
}

slots! {
    model {
        TYPE = 0, VERSION = 1, TIME = 2, CHIP = 3, NET = 4, NEURON_SIZE = 5, KERNEL_MODULE = 6, DEVICE_NUM = 7,
        CPUOP_MODULE = 8, BMODEL_TYPE = 9, LIB_BACKEND = 10,
    }
    module { FILE_NAME = 0, BINARY = 1, MODE = 2 }
    net { NAME = 0, PARAMETER = 3, CASCADE = 4, ADDR_MODE = 5 }
    cascade { DEVICE_ID = 0, STEP = 1, MAIN_NAME = 2 }
    parameter {
        INPUT_TENSOR = 0, OUTPUT_TENSOR = 1, CTX_ADDR = 2, CTX_SIZE = 3, COEFF_MEM = 4, IS_DYNAMIC = 5, N_DYNAMIC = 6,
        H_W_DYNAMIC = 7, CMD_GROUP = 8, NET_PROFILE = 9, STAGE_IR = 10, BINARY_IR = 11, SUB_NET = 12, CPU_MEM_SIZE = 13,
        CTX_SIZES = 14, NET_STAT = 15, CORE_NUM = 16, IO_ADDR = 17, IO_SIZE = 18, TENSOR_LOC = 19, DYNAMIC_CTX_ADDR = 20,
        DYNAMIC_COEFF_OFFSET = 21, DYNAMIC_COMBINED_COEFF_OFFSET = 22,
    }
    stage_ir { IR_INFO_LEN = 0, HEIGHT_HIGH = 1, HEIGHT_LOW = 2, WIDTH_HIGH = 3, WIDTH_LOW = 4 }
    subnet {
        MODE = 0, CMD_GROUP = 1, CPU_PARAM = 2, INPUT_TENSOR = 3, OUTPUT_TENSOR = 4, IS_DYNAMIC = 5, IR_OFFSET = 6, IR_LEN = 7,
        N_DYNAMIC = 8, H_W_DYNAMIC = 9, ID = 10, NEXT_SUBNET_IDS = 11, MERGE_PARAM = 12, SWITCH_PARAM = 13, CORE_COMMANDS = 14,
        RUN_CORE = 15,
    }
    cmd_group { TIU_NUM = 0, DMA_NUM = 1, BINARY_TIU = 2, BINARY_DMA = 3, TIU_BYTES = 4, DMA_BYTES = 5, RELOC_ENTRIES = 6 }
    core_commands { GROUPS = 0, SDMA = 1, HAU = 2, CDMA = 3 }
    coeff { ADDRESS = 0, CHECK_CODE = 1, BINARY = 2, LOCATION = 3, ENCRYPT_MODE = 4, DECRYPT_SIZE = 5 }
    location { NAME = 0, OFFSET = 1, SIZE = 2 }
    tensor {
        NAME = 0, DATA_TYPE = 1, ST_MODE = 2, DEVICE_ADDR = 3, SIZE = 4, SHAPE = 5, MEM_TYPE = 6, SCALE = 7, CPU_ADDR = 8,
        PAD_H = 9, ZERO_POINT = 10, HIDDEN = 11, INDEX = 12, RELENTRY = 13,
    }
    shape { DIM = 0 }
    cpu_param { OP_TYPE = 0, PARAM = 1, CONSTS = 2, IS_CUSTOM = 3 }
    cpu_const { NAME = 0, DATA = 1, CHECK_CODE = 2 }
    merge_param { OUTPUT_FROM = 0 }
    switch_param { OUTPUT_FROM = 0, OUTPUT_BRANCH = 1 }
    output_from { INDICE = 0 }
}
