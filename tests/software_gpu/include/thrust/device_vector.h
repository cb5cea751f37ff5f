// Caffe includes this and calls nothing of it. What did would not compile here, and says so.
#pragma once
