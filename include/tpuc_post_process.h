/* A post-process for the searches of mixed precision, in a shared library: `--post_process post.so`.
 *
 * The library exports tpuc_post_process. It is called for the outputs of the float network and of every network that is tried,
 * one call at a time, in a process of its own; what it gives is what is compared.
 *
 *     cc -shared -fPIC -I include -o post.so post.c
 */
#ifndef TPUC_POST_PROCESS_H
#define TPUC_POST_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A tensor of floats in C order, the last dimension contiguous. */
typedef struct {
    const char *name;      /* UTF-8, ends with 0 */
    uint32_t rank;         /* number of dimensions, 0 to 16; 0: one element */
    const uint64_t *shape; /* rank sizes */
    const float *data;     /* as many elements as the product of the sizes */
} tpuc_tensor;

/* Takes one tensor of the result and copies it: the pointers are not used after the call. 0: taken; return any other value as it is. */
typedef int (*tpuc_emit)(void *context, const tpuc_tensor *tensor);

/* Post-processes the outputs of a network: gives at least one tensor to `emit`, with `context` handed on, in the same order every time.
 *
 * outputs     count tensors, valid during the call: the network's outputs, or the layers of --global_compare_layers
 * error       room for a text of error_size bytes with its final 0, in which to say what is wrong
 * returns     0, or any other number where it fails: the search then ends with that text
 */
int tpuc_post_process(const tpuc_tensor *outputs, uint32_t count, tpuc_emit emit, void *context, char *error, size_t error_size);

#ifdef __cplusplus
}
#endif

#endif
