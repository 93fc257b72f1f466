/* LDoG. Ivgi, Hinder & Carmon 2023, "DoG is SGD's Best Friend: A Parameter-Free Dynamic Step Size
 * Schedule", section 4.1: DoG with a step size of its own for each tensor, as the row says.
 */
#include "dog.c"
