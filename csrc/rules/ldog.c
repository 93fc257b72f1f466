/* LDoG. Ivgi, Hinder & Carmon 2023, "DoG is SGD's Best Friend: A Parameter-Free Dynamic Step Size
 * Schedule", its layer-wise form: DoG with a step size of its own for each tensor, as the row says.
 */
#include "dog.c"
