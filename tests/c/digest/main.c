/* Prints a line for each rule and dtype, each rule and way of storing parameters, each codec, each
 * schedule and each function of math.c: a digest of the bits they return for fixed inputs.
 * tests/digests.txt holds what every platform must print.
 *
 * Rules and schedules come from lrc_rules[] and lrc_schedules[], so that a new one has its line
 * without a word here; hyper-parameters and arguments get their values by name. Everything is run
 * with each instruction set of this machine, by one thread and by three; where two of them differ
 * the program names them and exits with 1. */
#include "digest.h"

#include <stdio.h>

int main(void)
{
    for (int isa = 0; isa < lrc_isa_count(); isa++)
        fprintf(stderr, "%s%s", isa ? " " : "instruction sets: ", lrc_isa_name(isa));
    fprintf(stderr, "\n");
    print_rules();
    print_storage();
    print_codecs();
    print_schedules();
    print_math();
    return 0;
}
