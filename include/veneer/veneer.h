/* libveneer: everything. */
#ifndef VENEER_VENEER_H
#define VENEER_VENEER_H
#include "veneer/context.h"
#include "veneer/delta.h"
#include "veneer/diff.h"
#include "veneer/error.h"
#include "veneer/event.h"
#include "veneer/image.h"
#include "veneer/rebase.h"
#include "veneer/sign.h"
#include "veneer/text.h"
#endif
