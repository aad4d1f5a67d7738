// What sets of 32 registers of 16 floats share: see `kernels.h`.
#define W 16
#define MOST_ROWS 12
#define FOR_ROWS(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)
#define WIDE_ROWS 6
#define FOR_WIDE_ROWS(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
#define MOST_INPUTS 4
#define MOST_OUTPUTS 6
#define FOR_OUTPUTS(DO) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6)
