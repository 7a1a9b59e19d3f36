/* What ran before newgate up --confirm is made to run again, and told; the exit status. For the
 * process that waits, and for newgate confirm. */
#ifndef NG_CMD_GOBACK_H
#define NG_CMD_GOBACK_H

int go_back(void);

#endif
