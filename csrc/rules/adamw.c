/* AdamW. Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2.
 *
 * Adam's update; the row in rules.def says that the decay is decoupled from it.
 */
#include "adam.c"
