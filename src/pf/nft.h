/* Lowered operations as the text that nft(8) loads: a block of table `inet newgate`. */
#ifndef NG_PF_NFT_H
#define NG_PF_NFT_H

#include "pf/lower.h"

/* filled: with what tables hold. Without it, the text is the same as long as the rules are. */
void pf_nft(struct str *out, const struct lower *l, bool filled);

#endif
