// SPDX-License-Identifier: BSD-3-Clause
//
// Doubles to text by Grisu2 (Florian Loitsch, "Printing Floating-Point Numbers Quickly and
// Accurately with Integers", PLDI 2010). Redis prints doubles by the same algorithm, which finds
// the shortest text in all but about one case in a thousand; doing it the same way makes the two
// agree in those too. Pure functions over a constant table; any thread. Invariant: the text reads
// back as the same double. Called through num_format_double() by RESP writers, scores and
// INCRBYFLOAT's kin.
#include <math.h>
#include <string.h>

#include "engine/base/assert.h"
#include "engine/base/num.h"
#include "engine/base/num_tens.h"

#define DIGITS_MAX    18
#define MANTISSA_BITS 52
#define HIDDEN_BIT    ((uint64_t)1 << MANTISSA_BITS)
#define EXPONENT_BIAS (1023 + MANTISSA_BITS)

// A number f * 2^e.
struct scaled {
    uint64_t f;
    int e;
};

// Powers of ten from 10^-348 in steps of 8 decades, each rounded to 64 significant bits.
#define POWER_FIRST (-348)
#define POWER_STEP  8
#define POWERS      87
// After scaling, the exponent of the number must lie in this window, so that its integer part has
// at most 32 bits and its fraction can be multiplied by ten without overflow.
#define WINDOW_LOW  (-60)
#define WINDOW_HIGH (-32)

static const struct scaled powers[POWERS] = {
    {0xfa8fd5a0081c0288u, -1220}, {0xbaaee17fa23ebf76u, -1193}, {0x8b16fb203055ac76u, -1166},
    {0xcf42894a5dce35eau, -1140}, {0x9a6bb0aa55653b2du, -1113}, {0xe61acf033d1a45dfu, -1087},
    {0xab70fe17c79ac6cau, -1060}, {0xff77b1fcbebcdc4fu, -1034}, {0xbe5691ef416bd60cu, -1007},
    {0x8dd01fad907ffc3cu, -980},  {0xd3515c2831559a83u, -954},  {0x9d71ac8fada6c9b5u, -927},
    {0xea9c227723ee8bcbu, -901},  {0xaecc49914078536du, -874},  {0x823c12795db6ce57u, -847},
    {0xc21094364dfb5637u, -821},  {0x9096ea6f3848984fu, -794},  {0xd77485cb25823ac7u, -768},
    {0xa086cfcd97bf97f4u, -741},  {0xef340a98172aace5u, -715},  {0xb23867fb2a35b28eu, -688},
    {0x84c8d4dfd2c63f3bu, -661},  {0xc5dd44271ad3cdbau, -635},  {0x936b9fcebb25c996u, -608},
    {0xdbac6c247d62a584u, -582},  {0xa3ab66580d5fdaf6u, -555},  {0xf3e2f893dec3f126u, -529},
    {0xb5b5ada8aaff80b8u, -502},  {0x87625f056c7c4a8bu, -475},  {0xc9bcff6034c13053u, -449},
    {0x964e858c91ba2655u, -422},  {0xdff9772470297ebdu, -396},  {0xa6dfbd9fb8e5b88fu, -369},
    {0xf8a95fcf88747d94u, -343},  {0xb94470938fa89bcfu, -316},  {0x8a08f0f8bf0f156bu, -289},
    {0xcdb02555653131b6u, -263},  {0x993fe2c6d07b7facu, -236},  {0xe45c10c42a2b3b06u, -210},
    {0xaa242499697392d3u, -183},  {0xfd87b5f28300ca0eu, -157},  {0xbce5086492111aebu, -130},
    {0x8cbccc096f5088ccu, -103},  {0xd1b71758e219652cu, -77},   {0x9c40000000000000u, -50},
    {0xe8d4a51000000000u, -24},   {0xad78ebc5ac620000u, 3},     {0x813f3978f8940984u, 30},
    {0xc097ce7bc90715b3u, 56},    {0x8f7e32ce7bea5c70u, 83},    {0xd5d238a4abe98068u, 109},
    {0x9f4f2726179a2245u, 136},   {0xed63a231d4c4fb27u, 162},   {0xb0de65388cc8ada8u, 189},
    {0x83c7088e1aab65dbu, 216},   {0xc45d1df942711d9au, 242},   {0x924d692ca61be758u, 269},
    {0xda01ee641a708deau, 295},   {0xa26da3999aef774au, 322},   {0xf209787bb47d6b85u, 348},
    {0xb454e4a179dd1877u, 375},   {0x865b86925b9bc5c2u, 402},   {0xc83553c5c8965d3du, 428},
    {0x952ab45cfa97a0b3u, 455},   {0xde469fbd99a05fe3u, 481},   {0xa59bc234db398c25u, 508},
    {0xf6c69a72a3989f5cu, 534},   {0xb7dcbf5354e9beceu, 561},   {0x88fcf317f22241e2u, 588},
    {0xcc20ce9bd35c78a5u, 614},   {0x98165af37b2153dfu, 641},   {0xe2a0b5dc971f303au, 667},
    {0xa8d9d1535ce3b396u, 694},   {0xfb9b7cd9a4a7443cu, 720},   {0xbb764c4ca7a44410u, 747},
    {0x8bab8eefb6409c1au, 774},   {0xd01fef10a657842cu, 800},   {0x9b10a4e5e9913129u, 827},
    {0xe7109bfba19c0c9du, 853},   {0xac2820d9623bf429u, 880},   {0x80444b5e7aa7cf85u, 907},
    {0xbf21e44003acdd2du, 933},   {0x8e679c2f5e44ff8fu, 960},   {0xd433179d9c8cb841u, 986},
    {0x9e19db92b4e31ba9u, 1013},  {0xeb96bf6ebadf77d9u, 1039},  {0xaf87023b9bf0ee6bu, 1066},
};

static struct scaled normalized(struct scaled x) {
    int shift = __builtin_clzll(x.f);
    return (struct scaled){x.f << shift, x.e - shift};
}

static struct scaled product(struct scaled a, struct scaled b) {
    unsigned __int128 full = (unsigned __int128)a.f * b.f + ((uint64_t)1 << 63);
    return (struct scaled){(uint64_t)(full >> 64), a.e + b.e + 64};
}

// The power that brings a number of exponent e into the window; *k is its decimal exponent.
static struct scaled power_for(int e, int *k) {
    // The estimate decides which of several fitting powers is taken, and so the digits of rare
    // cases.
    int estimate = (int)(-(e + POWERS) * 0.30102999566398114);
    int i = (estimate - POWER_FIRST) / POWER_STEP;
    for (;;) {
        ASSERT(i >= 0 && i < POWERS);
        int scaled_e = e + powers[i].e + 64;
        if (scaled_e < WINDOW_LOW) {
            i++;
        } else if (scaled_e > WINDOW_HIGH) {
            i--;
        } else {
            break;
        }
    }
    *k = POWER_FIRST + i * POWER_STEP;
    return powers[i];
}

// Moves the last digit down while that brings the text nearer to the true value, within the
// interval.
static void round_last(char *last, uint64_t width, uint64_t rest, uint64_t unit,
                       uint64_t distance) {
    while (rest < distance && width - rest >= unit &&
           (rest + unit < distance || distance - rest > rest + unit - distance)) {
        (*last)--;
        rest += unit;
    }
}

// Writes the fewest digits that single out a number in (low, high]; returns how many. *k is moved
// by the decimal exponent of the last digit.
static int digits_between(struct scaled value, struct scaled high, uint64_t width, char *out,
                          int *k) {
    uint64_t distance = high.f - value.f;
    int shift = -high.e;
    uint64_t mask = ((uint64_t)1 << shift) - 1;
    uint64_t whole = high.f >> shift, fraction = high.f & mask;
    int n = 0;
    for (int place = 9; place >= 0; place--) {
        unsigned digit = (unsigned)(whole / tens[place]);
        if (digit != 0 || n != 0) out[n++] = (char)('0' + digit);
        whole -= digit * tens[place];
        uint64_t rest = (whole << shift) + fraction;
        if (rest <= width) {
            *k += place;
            round_last(out + n - 1, width, rest, tens[place] << shift, distance);
            return n;
        }
    }
    for (int place = 1;; place++) {
        fraction *= 10;
        width *= 10;
        unsigned digit = (unsigned)(fraction >> shift);
        if (digit != 0 || n != 0) out[n++] = (char)('0' + digit);
        ASSERT(n <= DIGITS_MAX);
        fraction &= mask;
        if (fraction < width) {
            *k -= place;
            round_last(out + n - 1, width, fraction, mask + 1, distance * tens[place]);
            return n;
        }
    }
}

// Digits of a positive finite value: value = digits * 10^k.
static int shortest_digits(double value, char digits[DIGITS_MAX], int *k) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    int exponent = (int)(bits >> MANTISSA_BITS & 0x7ff);
    struct scaled x = {bits & (HIDDEN_BIT - 1), 1 - EXPONENT_BIAS};
    if (exponent != 0) x = (struct scaled){x.f | HIDDEN_BIT, exponent - EXPONENT_BIAS};
    // Half way to the neighbours; the one below is nearer when x is a power of two.
    struct scaled high = normalized((struct scaled){2 * x.f + 1, x.e - 1});
    struct scaled low = {2 * x.f - 1, x.e - 1};
    if (x.f == HIDDEN_BIT) low = (struct scaled){4 * x.f - 1, x.e - 2};
    low = (struct scaled){low.f << (low.e - high.e), high.e};
    struct scaled power = power_for(high.e, k);
    x = product(normalized(x), power);
    high = product(high, power);
    low = product(low, power);
    // One unit inwards on both sides makes up for the rounding of the products.
    high.f--;
    low.f++;
    *k = -*k;
    return digits_between(x, high, high.f - low.f, digits, k);
}

static size_t write_exponent_form(char *out, const char *digits, int n, int exponent) {
    char *p = out;
    *p++ = digits[0];
    if (n > 1) {
        *p++ = '.';
        memcpy(p, digits + 1, (size_t)n - 1);
        p += n - 1;
    }
    *p++ = 'e';
    *p++ = exponent < 0 ? '-' : '+';
    p += num_format_u64(p, (uint64_t)(exponent < 0 ? -exponent : exponent));
    return (size_t)(p - out);
}

// Lays out digits * 10^k as Redis does: plain when that stays short, with an exponent otherwise.
static size_t write_digits(char *out, const char *digits, int n, int k) {
    int exponent = k + n - 1; // of the first digit
    int magnitude = exponent < 0 ? -exponent : exponent;
    if (k >= 0 && magnitude < n + 7) {
        memcpy(out, digits, (size_t)n);
        memset(out + n, '0', (size_t)k);
        return (size_t)(n + k);
    }
    if (k >= 0 || (k <= -7 && magnitude >= 4)) return write_exponent_form(out, digits, n, exponent);
    int before = n + k; // digits before the point
    if (before <= 0) {
        memcpy(out, "0.", 2);
        memset(out + 2, '0', (size_t)-before);
        memcpy(out + 2 - before, digits, (size_t)n);
        return (size_t)(n + 2 - before);
    }
    memcpy(out, digits, (size_t)before);
    out[before] = '.';
    memcpy(out + before + 1, digits + before, (size_t)(n - before));
    return (size_t)n + 1;
}

size_t num_format_double(char *out, double value) {
    if (isnan(value)) {
        memcpy(out, "nan", 3);
        return 3;
    }
    size_t sign = signbit(value) ? 1 : 0;
    out[0] = '-';
    if (isinf(value)) {
        memcpy(out + sign, "inf", 3);
        return sign + 3;
    }
    if (value == 0) {
        out[sign] = '0';
        return sign + 1;
    }
    double positive = fabs(value);
    if (positive <= 0x1p62 && (double)(int64_t)positive == positive) {
        return sign + num_format_u64(out + sign, (uint64_t)positive);
    }
    char digits[DIGITS_MAX];
    int k;
    int n = shortest_digits(positive, digits, &k);
    return sign + write_digits(out + sign, digits, n, k);
}
