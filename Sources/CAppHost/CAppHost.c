#include "CAppHost.h"
