UPDATE notices SET waiting = false WHERE receiver = $receiver AND id = $id;
