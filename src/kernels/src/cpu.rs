//! What this processor can do, and loops compiled for it.

/// Whether 8-bit products are summed exactly by the processor's dot-product instructions (VNNI). Without them oneDNN may
/// saturate pairs of products, so integer kernels then take another way.
pub fn has_exact_int8() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Asks for what lies a page behind `here`. Processors fetch ahead by themselves, but not from one page into the next.
#[inline(always)]
pub(crate) fn prefetch_page<T>(here: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which may name any address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(here.cast::<i8>().wrapping_add(4096));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = here;
}

/// Whether loops of [`vectorized`] may use AVX-512.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl")
}

/// Defines a function whose loops the compiler vectorizes for AVX-512, for AVX2 and for the baseline; the best that the
/// processor has is called. The body is the same for all, and so are its results: Rust never contracts or reorders floats.
macro_rules! vectorized {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$($generic:ident : $bound:path),*>)? ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name $(<$($generic: $bound),*>)? ($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body $(<$($generic: $bound),*>)? ($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
                #[allow(clippy::too_many_arguments)]
                fn avx512 $(<$($generic: $bound),*>)? ($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx2")]
                #[allow(clippy::too_many_arguments)]
                fn avx2 $(<$($generic: $bound),*>)? ($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                if $crate::cpu::has_avx512() {
                    // SAFETY: the features were detected.
                    return unsafe { avx512($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the feature was detected.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use vectorized;
