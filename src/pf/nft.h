/* Lowered operations as the text that nft(8) loads: a block of table `inet newgate`. */
#ifndef NG_PF_NFT_H
#define NG_PF_NFT_H

#include "pf/lower.h"

void pf_nft(struct str *out, const struct lower *l);

#endif
