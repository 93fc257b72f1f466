/* AdamW. Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
 *
 *     p = (1 - lr weight_decay) p, then Adam's update
 *
 * The row in rules.def says that the decay is decoupled; the rest is the same.
 */
#include "adam.c"
