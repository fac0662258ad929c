/* What the commands of veneer-pull share. Programs know libveneer by include/veneer only. */
#ifndef CMD_CMD_H
#define CMD_CMD_H
#include "cli/cli.h"
#include "veneer/pull.h"

extern const struct vn_cmd cmd_help;
extern const struct cli_program cmd_program;
#endif
