package main

import (
	"shop/contracts"
	"shop/kit"
)

func main() { kit.Run("items", contracts.Version) }
